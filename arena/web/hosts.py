"""Names: which Host a server answers to. Pure.

A page of another site can point a name of its own at this machine (DNS rebinding) and would then be of one origin with
the app. It cannot do that with an address in digits, nor with a name that only a house's own network knows.
"""

import ipaddress
from urllib.parse import urlsplit

from db.errors import UserError


def answers_to(host: str, listens: str, public_host: str | None) -> bool:
    """Whether a request with this Host header is meant for this server.

    The public address's name, whatever the port, this machine's own names and every address in digits are; where the
    server listens for others and no public address was given, also the names without a dot and those in `.local`.
    """
    if not host:
        return False
    name = _name(host)
    if public_host is not None and name == _name(public_host):
        return True
    if name == "localhost" or name.endswith(".localhost") or _address(name) is not None:
        return True
    if public_host is not None or _is_loopback(listens):
        return False
    return "." not in name or name.endswith(".local")


def checked_proxies(text: str) -> str:
    """Addresses and networks of proxies, comma-separated, as they are compared; UserError names one that is none."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for part in found:
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise UserError(
                f"{part!r} is no address or network of a proxy",
                "give some such as --trusted-proxies 127.0.0.1,10.0.0.0/8",
            ) from None
    return ",".join(found)


def _name(host: str) -> str:
    """The host without its port, in small letters; nothing where it is no host."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_loopback(listens: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    found = _address(listens)
    return listens == "localhost" or (found is not None and found.is_loopback)
