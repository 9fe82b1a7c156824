"""Notices: seeing that something happened which the owners should hear of, and sending it to their webhook.

A receiver gets a signed POST in the form of Standard Webhooks (standardwebhooks.com): the headers webhook-id,
webhook-timestamp and webhook-signature, and a JSON body {type, timestamp, data}.
"""

import asyncio
import hashlib
import ipaddress
import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
from sqlite_utils import Database
from standardwebhooks.webhooks import Webhook as Signer

from arena.jobs import shown
from arena.raters import counted_alarms
from db import notices
from db.campaigns import get_campaign
from db.catalog import get_setting, set_setting
from db.connection import transaction
from db.errors import UserError
from db.notices import Ended, Found, Notice, NoticeKind, Webhook
from labeling.joining import new_secret, stamp

WAITS = (0, 5, 60, 600, 3600)
"""seconds to wait before each try to send a notice; after the last one it is given up"""
PATIENCE = 10.0
"""seconds a receiver has for its whole answer"""
LONGEST_COMMAND = 160
QUIET = timedelta(minutes=10)
"""an alarm that was off for so long and is on again has risen anew"""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


# -- seeing ----------------------------------------------------------------------------------------------------


def begin(db: Database, now: datetime) -> None:
    """Jobs that ended before the first look are old news."""
    if get_setting(db, "notices_since") is None:
        set_setting(db, "notices_since", stamp(now))


def look(db: Database) -> list[Found]:
    """What happened that no notice tells of yet."""
    since = get_setting(db, "notices_since")
    ended = notices.jobs_ended(db, since) if since else []
    return [*notices.targets_met(db), *map(_of_job, ended)]


def _of_job(job: Ended) -> Found:
    command = shown(json.loads(job.command))
    words = command if len(command) <= LONGEST_COMMAND else command[:LONGEST_COMMAND] + "..."
    why = f" ({job.message})" if job.status != "succeeded" and job.message else ""
    return Found(f"job:{job.job}", NoticeKind.JOB_ENDED, None, f"Job {job.job} {job.status}: {words}{why}")


class Alarms(NamedTuple):
    """The alarms that no notice tells of yet, and when each that is on was last seen, by campaign."""

    found: Sequence[Found]
    seen: Mapping[str, str]


def alarms_seen(db: Database) -> dict[str, str]:
    """When each campaign's alarm was last seen, by the campaign's number."""
    known: dict[str, str] = json.loads(get_setting(db, "alarms_seen") or "{}")
    return known


def look_for_alarms(db: Database, now: datetime) -> Alarms:
    """The counted share of each campaign that still runs. An alarm that stays is one; it rises anew after a quiet while."""
    found, seen = [], {c: at for c, at in alarms_seen(db).items() if at >= stamp(now - QUIET)}
    for alarm in counted_alarms(db):
        campaign = get_campaign(db, alarm.campaign).id
        if str(campaign) not in seen:
            subject = f"alarm:{campaign}:{stamp(now)}"
            found.append(Found(subject, NoticeKind.ALARM, campaign, f"{alarm.campaign}: {alarm.found.words}"))
        if seen.get(str(campaign), "") < stamp(now - QUIET / 10):
            seen[str(campaign)] = stamp(now)
    return Alarms(found, seen)


def keep(db: Database, found: Sequence[Found]) -> int:
    """Raise what was found; how many notices are new."""
    with transaction(db):
        return sum(notices.raise_notice(db, f) for f in found)


def keep_alarms(db: Database, alarms: Alarms) -> int:
    """Raise the alarms that rose and remember which are on; how many notices are new."""
    with transaction(db):
        set_setting(db, "alarms_seen", json.dumps(alarms.seen))
        return keep(db, alarms.found)


# -- the webhook -----------------------------------------------------------------------------------------------


def checked_address(url: str) -> httpx.URL:
    """The address of a receiver; UserError where notices cannot be sent there."""
    remedy = "give one such as https://example.org/hooks/tastebench"
    try:
        address = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise UserError("this is no web address", remedy) from None
    if address.scheme not in ("http", "https") or not address.host or len(url) > 2000:
        raise UserError("this is no http or https address", remedy)
    if address.userinfo:
        raise UserError(
            "the address holds a name or a password", "leave it out: every notice is signed instead"
        )
    return address


def set_webhook(db: Database, url: str, now: datetime, *, own_network: bool) -> str:
    """Send every notice from now on to this address; the new secret that signs them, which is shown once."""
    secret = new_signing_secret()
    notices.set_webhook(db, Webhook(str(checked_address(url)), secret, own_network, stamp(now)))
    return secret


def new_signing_secret() -> str:
    """192 random bits in the form that Standard Webhooks asks for (base64 after whsec_)."""
    return "whsec_" + new_secret().replace("-", "+").replace("_", "/")


def host_of(url: str) -> str:
    """The part of an address that may stand in a log: the rest can hold a secret."""
    return httpx.URL(url).host


def message_of(notice: Notice) -> tuple[str, str]:
    """(id, JSON body) of a notice: the same for each try, so that a receiver knows one it has."""
    number = hashlib.sha256(f"{notice.at} {notice.subject}".encode()).hexdigest()[:24]
    data = {"id": notice.id, "subject": notice.subject, "campaign": notice.campaign, "text": notice.text}
    return f"msg_{number}", json.dumps(
        {"type": notice.kind, "timestamp": notice.at, "data": data}, ensure_ascii=False
    )


def due(db: Database, hook: Webhook, now: datetime) -> list[Notice]:
    """The notices whose next try is now, oldest first."""
    waiting = notices.unsent(db, hook.since, len(WAITS))
    return [
        n
        for n in waiting
        if n.tried_at is None or stamp(now - timedelta(seconds=WAITS[n.tries])) >= n.tried_at
    ]


async def deliver(hook: Webhook, message: str, body: str, now: datetime) -> str | None:
    """Send a message once, without following redirects; why it did not arrive, or None where a 2xx answer came."""
    headers = {
        "content-type": "application/json", "user-agent": "Tastebench", "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": Signer(hook.secret).sign(message, now, body),
    }  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            status = await _post(hook, body.encode(), headers)
    except UserError as error:
        return str(error)
    except TimeoutError:
        return f"the receiver did not answer within {PATIENCE:g} seconds"
    except httpx.HTTPError as error:
        return f"the receiver cannot be reached ({type(error).__name__})"
    return None if 200 <= status < 300 else f"the receiver answered {status}"


async def _post(hook: Webhook, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. The connection goes to the very address that was checked, under the host's name."""
    url = checked_address(hook.url)
    host, failure = url.raw_host.decode("ascii"), httpx.ConnectError("no address")
    named = {**headers, "host": url.netloc.decode("ascii")}
    trusted = (
        httpx.create_ssl_context()
    )  # SSL_CERT_FILE may name a house's own; a proxy of the environment is not used
    async with httpx.AsyncClient(
        verify=trusted, trust_env=False, follow_redirects=False, timeout=PATIENCE
    ) as client:
        for ip in await _addresses(
            host, url.port or {"http": 80, "https": 443}[url.scheme], hook.own_network
        ):
            there = client.stream("POST", url.copy_with(host=ip), content=body, headers=named,
                                  extensions={"sni_hostname": host})  # fmt: skip
            try:
                async with there as answer:
                    return answer.status_code
            except httpx.ConnectError as error:
                failure = error
    raise failure


async def _addresses(host: str, port: int, own_network: bool) -> list[str]:
    """The addresses behind a host's name, IPv4 first; UserError where one of them is not to be called."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise UserError(f"{host} is not found", "check the address of the webhook") from None
    addresses = list(dict.fromkeys(str(f[4][0]) for f in sorted(found, key=lambda f: f[0] != socket.AF_INET)))
    if not all(may_call(a, own_network=own_network) for a in addresses):
        raise UserError(f"{host} is an address of a private network or of this machine",
                        "tick 'my own network' (--own-network) if that is meant")  # fmt: skip
    return addresses


def may_call(address: str, *, own_network: bool) -> bool:
    """Whether an address is the public internet's, or the owner's own network where that is allowed.

    Link-local addresses (a cloud machine's credentials lie there) and broadcasts are never called.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return may_call(str(inner), own_network=own_network)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback):
        return False
    return ip.is_global or own_network


def send_test(hook: Webhook | None) -> None:
    """Send a made-up notice now; UserError where there is nowhere to send it or it did not arrive."""
    if hook is None:
        raise UserError("no webhook is set", "set its address in Settings or with `notices webhook URL`")
    now = datetime.now(UTC)
    body = json.dumps(
        {"type": "test", "timestamp": stamp(now), "data": {"text": "A test: notices arrive here."}}
    )
    problem = asyncio.run(deliver(hook, f"msg_test{int(now.timestamp() * 1000)}", body, now))
    if problem is not None:
        raise UserError(f"not delivered: {problem}")
