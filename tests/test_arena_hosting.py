"""Where the server listens and by which names: as given, in a Space, and which Host it answers to."""

import pytest

from arena.hosting import OWN_PROXIES, PRIVATE, SPACES, Place, placed
from arena.web.hosts import answers_to, checked_proxies
from db.errors import UserError

SPACE = {"SPACE_ID": "team/taste", "SPACE_HOST": "team-taste.hf.space"}


def test_nothing_given_is_this_machine_only():
    at = placed(Place(), {})
    assert at.listens == ("127.0.0.1", 7860)
    assert (at.told, at.public, at.root) == (None, "http://127.0.0.1:7860", "")
    assert at.proxies == OWN_PROXIES
    assert at.embed is None


def test_a_space_is_found_by_its_environment():
    at = placed(Place(port=7861), SPACE)
    assert at.listens == ("0.0.0.0", 7861)
    assert at.told == at.public == "https://team-taste.hf.space"
    assert at.embed == SPACES
    assert at.proxies == PRIVATE


def test_what_was_given_goes_before_what_a_space_says():
    given = Place("::1", 1, "https://taste.example", None, "https://own.example", "")
    assert placed(given, SPACE) == given
    assert placed(given, SPACE).proxies == "", "nobody, as was said"


def test_a_host_alone_makes_no_space():
    assert placed(Place(), {"SPACE_HOST": "team-taste.hf.space"}) == Place()


@pytest.mark.parametrize(
    ("public_url", "root_path", "told", "root"),
    [
        ("https://taste.example", None, "https://taste.example", ""),
        ("https://taste.example/", None, "https://taste.example", ""),
        ("https://taste.example/a/b/", None, "https://taste.example/a/b", "/a/b"),
        ("https://taste.example", "/a", "https://taste.example/a", "/a"),
        ("https://taste.example/a", "/a/", "https://taste.example/a", "/a"),
        (None, "/a", "http://127.0.0.1:7860/a", "/a"),
    ],
)
def test_the_path_is_said_once(public_url, root_path, told, root):
    at = Place(public_url=public_url, root_path=root_path)
    assert (at.told, at.root) == (told, root)


@pytest.mark.parametrize(
    "url", ["taste.example", "ftp://taste.example", "https://", "https://a:b", "http://[::1", ""]
)
def test_what_no_browser_opens_is_no_public_address(url):
    with pytest.raises(UserError, match="give one such as --public-url https"):
        Place(public_url=url)


@pytest.mark.parametrize("listens", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "192.0.2.1"])
@pytest.mark.parametrize("public", [None, "taste.example"])
def test_this_machine_and_digits_are_always_meant(listens, public):
    for host in (
        "127.0.0.1:7860",
        "localhost:1",
        "LOCALHOST",
        "a.localhost",
        "[::1]:7860",
        "10.1.2.3",
        "[fe80::1]:80",
    ):
        assert answers_to(host, listens, public), host


@pytest.mark.parametrize(
    ("host", "listens", "public", "answered"),
    [
        ("taste.example", "127.0.0.1", "taste.example", True),
        ("TASTE.example.:443", "127.0.0.1", "taste.example", True),
        ("taste.example:8443", "0.0.0.0", "taste.example:8443", True),
        ("evil.example", "127.0.0.1", "taste.example", False),
        ("taste.example.evil.example", "0.0.0.0", "taste.example", False),
        ("box", "0.0.0.0", "taste.example", False),
        ("evil.example", "127.0.0.1", None, False),
        ("box", "127.0.0.1", None, False),
        ("box:7860", "0.0.0.0", None, True),
        ("box.local", "192.0.2.1", None, True),
        ("box.lan.example", "0.0.0.0", None, False),
        ("127.0.0.1.evil.example", "127.0.0.1", None, False),
        ("127.0.0.1@evil.example", "127.0.0.1", None, False),
        ("evil.example/127.0.0.1", "127.0.0.1", None, False),
        ("[::1", "127.0.0.1", None, False),
        ("", "0.0.0.0", None, False),
    ],
)
def test_other_names_are_not(host, listens, public, answered):
    assert answers_to(host, listens, public) is answered


def test_proxies_are_addresses_and_networks():
    assert checked_proxies(" 127.0.0.1 , 10.0.0.0/8,::1") == "127.0.0.1,10.0.0.0/8,::1"
    assert checked_proxies("") == ""
    for wrong in ("*", "proxy", "10.0.0.0/33", "127.0.0.1;::1", "10.0.0.1/8"):
        with pytest.raises(UserError, match="no address or network"):
            checked_proxies(wrong)
