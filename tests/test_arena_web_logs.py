"""What the server's log leaves out when it is stopped: nothing went wrong then."""

import threading

import httpx

from arena.web.sessions import now
from db.connection import open_writer
from labeling.owners import owner_link_token
from tests.factories import make_home
from tests.serving import served_by_command


def test_a_server_that_is_stopped_while_the_studio_is_open_ends_without_a_word(tmp_path):
    home = make_home(tmp_path / "home", prompts=2)
    db = open_writer(home)
    token = owner_link_token(db, now())
    db.conn.close()
    with served_by_command(home) as served:
        own = {"origin": served.base, "sec-fetch-site": "same-origin"}
        with httpx.Client(base_url=served.base, headers=own, trust_env=False, timeout=30) as owner:
            assert owner.post("/api/login", json={"token": token}).status_code == 200
            with owner.stream("GET", "/studio/gradio_api/heartbeat/page") as stream:
                assert stream.status_code == 200
                stopping = threading.Thread(target=served.stop)
                stopping.start()
                stopping.join(90)
        assert served.process.returncode in (0, -2, 130)
    for word in ("Traceback", "Cancelled", "graceful"):
        assert word not in served.err
