"""How the outside reaches the server: what was given, and what a hosting place that runs it says in the environment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from db.errors import UserError

LOOPBACK = "127.0.0.1"
PORT = 7860
OWN_PROXIES = "127.0.0.1,::1"
"""whose word on the client's address is taken where nobody says otherwise: a proxy on this machine"""
PRIVATE = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
"""the networks from which a hosting place's own proxy speaks to a container"""
SPACES = "https://huggingface.co"
"""the site that shows a Space in a frame"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens and by which address people find it. `keep_in`: the dataset that keeps its home."""

    host: str | None = None
    port: int | None = None
    public_url: str | None = None
    root_path: str | None = None
    embed: str | None = None
    trusted_proxies: str | None = None
    keep_in: str | None = None

    def __post_init__(self) -> None:
        if self.public_url is not None and not is_web_address(self.public_url):
            raise UserError(f"{self.public_url!r} is no address that a browser opens",
                            "give one such as --public-url https://taste.example.org")  # fmt: skip

    @property
    def listens(self) -> tuple[str, int]:
        """Host and port, as given or the usual ones."""
        return self.host or LOOPBACK, self.port or PORT

    @property
    def root(self) -> str:
        """The path before every path of the app, as given or as the public address has it."""
        return (self.root_path or urlsplit(self.public_url or "").path).rstrip("/")

    @property
    def told(self) -> str | None:
        """The public address that was told in one way or another, with its path; None where none was."""
        if self.public_url is None:
            return f"{address_of(*self.listens)}{self.root}" if self.root else None
        bare = self.public_url.rstrip("/")
        return bare if urlsplit(bare).path else bare + self.root

    @property
    def public(self) -> str:
        """What stands before every link."""
        return self.told or address_of(*self.listens)

    @property
    def proxies(self) -> str:
        """Whose word on a client's address is taken."""
        return OWN_PROXIES if self.trusted_proxies is None else self.trusted_proxies


def is_web_address(url: str) -> bool:
    """Whether this is http(s)://HOST or more of it."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        return False


def address_of(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens there."""
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{near}:{port}"


def placed(given: Place, environ: Mapping[str, str]) -> Place:
    """The place as given; what was not given is what a Hugging Face Space needs, where the program runs in one.

    A Space is known by SPACE_ID and says its host in SPACE_HOST (`owner-name.hf.space`); its page shows the app in a frame.
    """
    if not environ.get("SPACE_ID"):
        return given
    host = environ.get("SPACE_HOST")
    return replace(
        given,
        host=given.host or "0.0.0.0",  # noqa: S104 - a container behind the place's own proxy
        public_url=given.public_url or (f"https://{host}" if host else None),
        embed=given.embed or SPACES,
        trusted_proxies=PRIVATE if given.trusted_proxies is None else given.trusted_proxies,
    )
