"""Behind a real nginx with TLS and under a sub-path, by the configuration that deploy/ ships."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bench.votes import free_port
from db.connection import PROJECT, Home, open_reader, open_writer
from labeling.joining import invite
from tests.browser.conftest import ARGUMENTS, RATING
from tests.browser.test_rate import vote
from tests.factories import make_home
from tests.serving import served_by_command
from tests.workshop import run, wait_for

NAME = "taste.example"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None,
    reason="no nginx here; Debian: apt-get install nginx openssl",
)


@dataclass(frozen=True)
class Behind:
    """The app's own port, and where nginx shows it."""

    home: Home
    port: int
    https: int

    @property
    def base(self) -> str:
        return f"https://{NAME}:{self.https}/taste"

    def link(self) -> str:
        """A new seat's link, below the base."""
        db = open_writer(self.home)
        with closing(db.conn):
            return "/join/" + invite(db, "first", 1)[0].token

    def client(self, address: str, *, straight: bool = False, host: str = NAME) -> httpx.Client:
        """Someone with this address, through nginx or straight at the app."""
        base = f"http://127.0.0.1:{self.port}/taste" if straight else f"https://127.0.0.1:{self.https}/taste"
        transport = httpx.HTTPTransport(local_address=address, verify=False)
        named = {"host": f"{host}:{self.https}"}
        return httpx.Client(base_url=base, transport=transport, headers=named, trust_env=False, timeout=20)


def configured(folder: Path, port: int, https: int) -> Path:
    """deploy/nginx.conf with this machine's ports and a certificate of its own, as a whole configuration."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
                    "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)  # fmt: skip
    site = (PROJECT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for theirs, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{https} ssl"),
        (f"/etc/ssl/certs/{NAME}.pem", str(folder / "cert.pem")),
        (f"/etc/ssl/private/{NAME}.key", str(folder / "key.pem")),
        ("http://127.0.0.1:7860", f"http://127.0.0.1:{port}"),
    ):
        assert site.count(theirs) == 1, theirs
        site = site.replace(theirs, ours)
    places = "\n".join(
        f"{n}_temp_path {folder / n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        f"events {{ }}\nhttp {{ access_log {folder}/access.log;\n{places}\n{site}\n}}\n", encoding="utf-8"
    )  # fmt: skip
    return whole


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    https = free_port()
    home = make_home(folder / "home")
    public = {"TASTEBENCH_PUBLIC_URL": f"https://{NAME}:{https}/taste"}
    with served_by_command(home, environ=public) as served:
        assert NGINX is not None
        command = [NGINX, "-p", str(folder), "-c", str(configured(folder, served.port, https))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as nginx:
            try:
                found = Behind(home, served.port, https)

                def answers() -> bool:
                    assert nginx.poll() is None, nginx.stderr.read() if nginx.stderr else ""
                    try:
                        with found.client("127.0.0.1") as client:
                            return client.get("/healthz").status_code == 200
                    except httpx.TransportError:
                        return False

                wait_for(answers)
                yield found
            finally:
                nginx.terminate()


@pytest.fixture
def page(behind: Behind, chromium: Browser) -> Iterator[Page]:
    """A browser that finds the name on this machine; the test fails on a script error."""
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    browser = chromium.browser_type.launch(
        executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=[*ARGUMENTS, rules]
    )
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 860})
    wrong: list[str] = []
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on(
        "request",
        lambda r: None if r.url.startswith((behind.base, "data:", "blob:")) else wrong.append(r.url),
    )
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    yield opened
    browser.close()
    assert wrong == []


def votes(home: Home) -> int:
    with closing(open_reader(home).conn) as conn:
        return int(conn.execute("SELECT count(*) FROM votes").fetchone()[0])


@pytest.mark.slow
def test_join_rate_and_vote_over_tls_under_a_path(behind: Behind, page: Page) -> None:
    before = votes(behind.home)
    page.goto(behind.base + behind.link())
    page.wait_for_selector(RATING)
    assert page.url == f"{behind.base}/rate/"
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-tastebench"
    assert (cookie["secure"], cookie["httpOnly"], cookie["path"], cookie["sameSite"]) == (
        True,
        True,
        "/",
        "Lax",
    )
    vote(page, "ArrowLeft")
    assert votes(behind.home) == before + 1


@pytest.mark.slow
def test_the_studio_works_and_its_events_arrive_one_by_one(behind: Behind, page: Page) -> None:
    link = re.search(r"^studio\s+(\S+)$", run(behind.home, "owner", "link").out, re.M)
    assert link is not None
    assert link[1].startswith(f"{behind.base}/login?token=")
    streams = []
    page.on("response", lambda r: streams.append(r) if "queue/data" in r.url else None)
    page.goto(link[1])
    page.wait_for_url("**/studio/**")
    page.get_by_role("tab", name="Campaigns", exact=True).click()
    expect(page.get_by_label("Campaign", exact=True)).to_have_value("first")
    assert {c["name"] for c in page.context.cookies()} == {"__Host-tastebench-owner"}
    assert streams
    assert all(s.headers["content-type"].startswith("text/event-stream") for s in streams)
    assert not any("websocket" in s.headers.get("upgrade", "") for s in streams)


@pytest.mark.slow
def test_wrong_links_are_braked_by_the_address_that_nginx_saw(behind: Behind) -> None:
    def tries(address: str, n: int, *, straight: bool = False) -> list[int]:
        with behind.client(address, straight=straight) as client:
            return [
                client.get("/join/wrong", headers={"x-forwarded-for": f"203.0.113.{i}"}).status_code
                for i in range(n)
            ]

    assert tries("127.0.0.2", 11) == [404] * 10 + [429], "a claimed address does not help"
    assert tries("127.0.0.3", 1) == [404], "nor does it hurt another"
    assert tries("127.0.0.4", 11, straight=True) == [404] * 10 + [429], "who is no proxy is not believed"


@pytest.mark.slow
@pytest.mark.parametrize("straight", [False, True])
def test_another_name_is_refused(behind: Behind, straight: bool) -> None:
    with behind.client("127.0.0.1", straight=straight, host="evil.example") as client:
        answer = client.get("/login/")
        assert answer.status_code == 421
        assert "not known by the name" in answer.json()["error"]
        assert client.get("/login/", headers={"host": NAME}).status_code == 200
