"""Names from elsewhere, made fit to be names here, the same way each time."""

import hashlib
import re

from db.connection import NAME
from labeling.formats.records import BadRow

DROPPED = str.maketrans(
    dict.fromkeys("()[]{}'\"`") | dict.fromkeys("/:|\\", "-") | dict.fromkeys("#&*=~", "_")
)
OURS = re.compile(r"(owner|rater|sim)(-\d+)?")
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def safe_name(given: str, noun: str) -> str:
    """The name as it is where it can be, else without brackets and slashes, else ended by a hash of what it was.

    Two names that differ in more than brackets, slashes and colons never become the same one.
    """
    name = given.strip()
    if not name:
        raise BadRow(f"the {noun} has no name")
    plain = re.sub(r"\s+", " ", name.translate(DROPPED)).strip(" .-_")
    for candidate in (name, plain):
        if NAME.fullmatch(candidate) and ".." not in candidate and not candidate.endswith((" ", ".")):
            return candidate
    rest = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:60]
    return f"{rest or noun}-{_digest(name)}"


def rater_name(given: str) -> str:
    """A rater's pseudonym as the source has it. An address becomes a hash; a name of our own seats is marked."""
    name = given.strip()
    if MAIL.fullmatch(name):
        return f"rater-{_digest(name)}"
    return f"imported-{name}" if OURS.fullmatch(name) else safe_name(name, "rater")


def file_name(stem: str, noun: str) -> str:
    """What is named after a file. `all`, `train` and `heldout` mean something else as names of prompts."""
    name = safe_name(stem, noun) if stem.strip() else noun
    return f"{name}-{noun}" if name in ("all", "train", "heldout") else name


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
