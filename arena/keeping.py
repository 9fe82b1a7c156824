"""Workflow: a home whose disk does not last, kept in a private dataset on the hub. Put back first, sent afterwards.

The dataset holds a copy of the database, the folders of the models it names, and a manifest with the hash of each and a
generation that grows by one with every send. A send names the commit it follows, so that a server that knows only an older
generation, or none, can replace nothing: the hub refuses it.
"""

import contextlib
import json
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arena import notices
from arena.hubstore import Head, HubStore
from db import copies, upkeep
from db.catalog import list_models
from db.connection import Home, open_reader, open_writer
from db.errors import Conflict, UserError
from db.files import sha256, written_file
from db.notices import Found, NoticeKind

MANIFEST, DATABASE, MARK = "home.json", "arena.db", ".kept.json"
FIRST = 15.0
"""seconds after the start until the first send, which shows early whether the token may write"""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a home on this disk knows of its last meeting with the dataset."""

    dataset: str
    line: str
    """a random name, the same for every generation of one home"""
    generation: int
    database: str
    """SHA-256 of a copy of the database as it was after it was sent or put back"""
    sending: str = ""
    """the same of the next generation while it is on its way"""


@dataclass
class Keeping:
    """One home and the dataset that keeps it. Used by one thread at a time."""

    home: Home
    store: HubStore
    line: str = field(default_factory=lambda: secrets.token_hex(8))
    generation: int = 0
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the newest generation"""
    _own: str = ""
    """the same as `Mark.database`: a copy of what was put back has other bytes than what was sent"""
    _commit: str = ""
    _seen: int = 0
    _hashed: dict[tuple[str, int, int], str] = field(default_factory=dict)

    # -- from the dataset

    def put_back(self) -> str:
        """Take the home from the dataset where it is the newer one; what was done, as a line.

        UserError, with both sides as they were, where the dataset cannot be read or its files are not what they should
        be, and where both sides have something that the other has not.
        """
        head = self.store.head(MANIFEST)
        self._commit = head.commit
        if head.manifest is None:
            return f"the dataset {self.store.dataset} is empty; this home is kept there from now on"
        mark = _mark_of(self.home)
        here = self.home.database.exists()
        if here and mark is not None and _is_of(head.manifest, mark):
            self._know(head)
            self._own = mark.sending if mark.generation < self.generation else mark.database
            return f"this home is generation {self.generation} in {self.store.dataset}, or newer"
        if here and (mark is None or mark.line != _place(head.manifest)[0] or self._changed(mark)):
            raise UserError(
                f"{self.home.root} has votes or settings that the home kept in {self.store.dataset} has not, and the other way round",
                "move one of them out of the way (--home names another folder, --keep-in another dataset)",
            )
        self._fetch(head)
        return (
            f"home put back from {self.store.dataset}: generation {self.generation}, of {head.manifest['at']}"
        )

    def _know(self, head: Head) -> None:
        assert head.manifest is not None
        self.line, self.generation = _place(head.manifest)
        self.files = dict(head.manifest["files"])

    def _changed(self, mark: Mark) -> bool:
        """Whether the database differs from what was last sent or put back."""
        with _copied(self.home) as copy:
            return sha256(copy) != mark.database

    def _fetch(self, head: Head) -> None:
        """Every file of a generation into place: models first, the database that names them last."""
        assert head.manifest is not None
        wanted: Mapping[str, str] = head.manifest["files"]
        aside = self.home.root / ".fetched"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            for name in wanted:
                _inside(self.home, name)
            self.store.fetch(list(wanted), head.commit, aside)
            for name, expected in wanted.items():
                if sha256(aside / name) != expected:
                    raise UserError(f"{name} in {self.store.dataset} is not what was sent",
                                    "go back to an earlier commit of the dataset")  # fmt: skip
            for name in sorted(set(wanted) - {DATABASE}):
                target = _inside(self.home, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                (aside / name).replace(target)
            upkeep.restore(self.home, aside / DATABASE)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self._know(head)
        with _copied(self.home) as copy:
            self._own = sha256(copy)
        self._remember()

    # -- to the dataset

    def send(self) -> bool:
        """Send what has changed since the last time as a new generation; whether there was anything.

        UserError: not this time. Conflict: never again by this server, the dataset is somebody else's by now.
        """
        if not self.home.database.exists():
            return False
        written = copies.last_written(self.home.database)
        if written == self._seen:
            return False
        with _copied(self.home) as copy:
            found = {name: self._hash_of(path) for name, path in self._models().items()}
            own = sha256(copy)
            now = {**found, DATABASE: self.files[DATABASE] if own == self._own else own}
            if now == self.files:
                self._seen = written
                return False
            manifest = {"line": self.line, "generation": self.generation + 1,
                        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "files": now}  # fmt: skip
            add: dict[str, Path | bytes] = {
                name: copy if name == DATABASE else self.home.root / name
                for name, content in now.items()
                if self.files.get(name) != content
            }
            add[MANIFEST] = json.dumps(manifest, indent=1).encode()
            gone = sorted(set(self.files) - set(now))
            self._remember(sending=own)
            self._commit = self._committed(add, gone, own)
        self.generation, self.files, self._seen, self._own = self.generation + 1, now, written, own
        self._remember()
        return True

    def _committed(self, add: Mapping[str, Path | bytes], gone: Sequence[str], database: str) -> str:
        """Commit the next generation; an earlier try whose answer got lost on the way counts as well."""
        try:
            return self.store.commit(add, gone, self._commit, f"Generation {self.generation + 1}")
        except Conflict:
            head = self.store.head(MANIFEST)
            mark = Mark(self.store.dataset, self.line, self.generation, "", database)
            if (
                head.manifest is None
                or _place(head.manifest)[1] == self.generation
                or not _is_of(head.manifest, mark)
            ):
                raise
            return head.commit

    def _models(self) -> dict[str, Path]:
        """The files of the runs whose models the database names, without checkpoints, by their path in the home."""
        db = open_reader(self.home)
        with contextlib.closing(db.conn):
            sources = [s for m in list_models(db) for s in (m.source, m.adapter) if s]
        folders = set()
        for source in sources:
            place = Path(self.home.locate(source))
            if place.is_relative_to(self.home.runs.resolve()):
                folders.add(self.home.runs / place.relative_to(self.home.runs.resolve()).parts[0])
        return {
            path.relative_to(self.home.root).as_posix(): path
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            and not any(p.startswith((".", "checkpoint-")) for p in path.relative_to(folder).parts)
        }

    def _hash_of(self, path: Path) -> str:
        """SHA-256 of a file of a model, reckoned once for as long as it does not change."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._hashed:
            self._hashed[key] = sha256(path)
        return self._hashed[key]

    def _remember(self, sending: str = "") -> None:
        mark = Mark(self.store.dataset, self.line, self.generation, self._own, sending)
        with written_file(self.home.root / MARK) as aside:
            aside.write_text(json.dumps(asdict(mark)), encoding="utf-8")


@contextlib.contextmanager
def kept(
    home: Home, dataset: str | None, minutes: float, say: Callable[[str], object]
) -> Iterator[tuple[str, ...]]:
    """The home is put back before the block and sent while it runs and when it ends; yields what to tell. None: neither.

    UserError before the block where it cannot be put back: a server must not begin anew beside votes that are there.
    """
    if dataset is None:
        yield ()
        return
    keeping = Keeping(home, HubStore(dataset))
    told = keeping.put_back()
    ended, lost = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=_send_until, args=(keeping, minutes * 60, say, ended, lost), name="keeper", daemon=True
    )
    with _asked_to_end():
        thread.start()
        try:
            yield (told,)
        finally:
            ended.set()
            thread.join()
            if not lost.is_set():
                _try(keeping, say, lost)


def _send_until(
    keeping: Keeping,
    seconds: float,
    say: Callable[[str], object],
    ended: threading.Event,
    lost: threading.Event,
) -> None:
    wait = min(FIRST, seconds)
    while not ended.wait(wait) and not lost.is_set():
        _try(keeping, say, lost)
        wait = seconds


def _try(keeping: Keeping, say: Callable[[str], object], lost: threading.Event) -> None:
    """One send; what went wrong is said and raised as a notice."""
    try:
        keeping.send()
    except UserError as error:
        if isinstance(error, Conflict):
            lost.set()
        say(f"this home was not kept: {error}")
        db = open_writer(keeping.home)
        with contextlib.closing(db.conn):
            subject = f"keeping {keeping.generation} {type(error).__name__}"
            notices.keep(db, [Found(subject, NoticeKind.ALARM, None, f"This home was not kept: {error}")])


@contextlib.contextmanager
def _asked_to_end() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what follows it is done: a hosting place stops servers by it."""

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _copied(home: Home) -> Iterator[Path]:
    """A copy of the database for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix=".keeping-", dir=home.root) as folder:
        copy = Path(folder) / DATABASE
        upkeep.backup(home, copy)
        yield copy


def _mark_of(home: Home) -> Mark | None:
    """What the home remembers; None where it remembers nothing that can be read."""
    try:
        return Mark(**json.loads((home.root / MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _place(manifest: Mapping[str, object]) -> tuple[str, int]:
    return str(manifest["line"]), int(str(manifest["generation"]))


def _is_of(manifest: Mapping[str, Any], mark: Mark) -> bool:
    """Whether a manifest is of the generation that a home knows, or of the one it was sending."""
    line, generation = _place(manifest)
    known = generation == mark.generation
    sent = generation == mark.generation + 1 and manifest["files"][DATABASE] == mark.sending
    return line == mark.line and (known or sent)


def _inside(home: Home, name: str) -> Path:
    """Where a file of the dataset belongs; UserError for any other place than the database and the runs."""
    parts = Path(name).parts
    if name != DATABASE and (len(parts) < 3 or parts[0] != "runs" or ".." in parts):
        raise UserError(f"{name!r} does not belong to a home", "go back to an earlier commit of the dataset")
    return home.root / name
