"""The writer's thread when somebody no longer waits, and the home's lock when somebody only looks."""

import errno
import fcntl
import gc
import os
import sqlite3
import threading

import pytest

from db.connection import Database, Home, Readers, Writer, open_writer, transaction
from db.errors import Unwritable, UserError
from db.lock import Lock, Server, server_of


def test_one_who_no_longer_waits_stops_no_other(home: Home):
    writer, go = Writer(home), threading.Event()
    first = writer.submit(lambda _db: go.wait(30))
    gone = writer.submit(lambda db: db.execute("INSERT INTO settings VALUES ('gone', 'x')"))
    stays = writer.submit(lambda db: db.execute("INSERT INTO settings VALUES ('stays', 'x')"))
    assert gone.cancel()
    go.set()
    assert first.result(timeout=30)
    stays.result(timeout=30)
    stored = writer.call(lambda db: db.execute("SELECT name FROM settings").fetchall())
    writer.close()
    assert stored == [("stays",)]


def test_two_who_look_at_once_see_no_server_that_was_killed(home: Home):
    home.lock.write_text('{"pid": 1, "address": "http://127.0.0.1:1"}')  # what a killed one left
    with home.lock.open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)  # as `server_of` holds it while it looks
        assert server_of(home) is None


def test_a_server_starts_while_somebody_looks(home: Home):
    home.lock.touch()
    with home.lock.open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        done = threading.Timer(0.05, lambda: fcntl.flock(another, fcntl.LOCK_UN))
        done.start()
        lock = Lock(home)
        done.join()
    lock.announce("http://127.0.0.1:2")
    found = server_of(home)
    lock.release()
    assert found is not None
    assert found.address == "http://127.0.0.1:2"


def test_a_server_that_is_starting_is_not_known_by_the_address_of_a_killed_one(home: Home):
    home.lock.write_text('{"pid": 1, "address": "http://127.0.0.1:1"}')
    lock = Lock(home)
    found = server_of(home)
    with pytest.raises(UserError, match="another server runs"):
        Lock(home)
    lock.release()
    assert found == Server(0, "")


def test_a_file_system_without_locks_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch):
    def none(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(
        UserError, match=r"cannot write and lock .*: No locks available; .* a disk of this machine"
    ):
        Lock(home)


def test_a_home_that_may_only_be_read_is_one_line(home: Home):
    db = open_writer(home)
    db.conn.execute("PRAGMA query_only=ON")
    with pytest.raises(Unwritable, match="may only be read"), transaction(db):
        db.conn.execute("UPDATE models SET name = name")
    db.conn.close()


def test_a_thread_of_the_server_keeps_few_pages_and_always_the_same_connection(home: Home):
    open_writer(home).conn.close()
    readers = Readers(home)
    db = readers.get()
    assert db.conn.execute("PRAGMA cache_size").fetchone() == (-Readers.CACHE,)
    assert readers.get() is db
    others: list[Database] = []
    thread = threading.Thread(target=lambda: others.append(readers.get()))
    thread.start()
    thread.join()
    assert others[0] is not db


def test_a_thread_that_ends_closes_its_connection_at_once_unless_somebody_reads_on(home: Home):
    open_writer(home).conn.close()
    readers = Readers(home)
    left: list[sqlite3.Connection] = []
    kept: list[Database] = []

    def read(held: list[Database]) -> None:
        held.append(readers.get())
        left.append(held[0].conn)

    gc.disable()  # which would find it too, an hour later
    try:
        for held in ([], kept):
            thread = threading.Thread(target=read, args=(held,))
            thread.start()
            thread.join()
    finally:
        gc.enable()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        left[0].execute("SELECT 1")
    assert left[1].execute("SELECT 1").fetchone() == (1,)
    kept.clear()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        left[1].execute("SELECT 1")
