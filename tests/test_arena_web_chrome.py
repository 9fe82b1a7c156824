"""The colours every page wears: text stands out from its ground in light and dark (WCAG AA)."""

import re

import pytest

from arena.web.chrome import asset, head, message_page
from arena.web.sessions import Page

TEXTS = ("ink", "muted", "accent", "ok", "warn", "bad")
GROUNDS = ("bg", "surface", "tint")


def colours(selector: str) -> dict[str, str]:
    block = asset("base.css").split(selector + " {", 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--tb-([a-z-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_gives_the_known_extremes() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("selector", [":root", ".dark"])
def test_texts_stand_out(selector: str) -> None:
    found = colours(selector)
    for ground in GROUNDS:
        for text in TEXTS:
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
        assert contrast(found["strong-line"], found[ground]) >= 3, ground
    assert contrast(found["on-accent"], found["accent"]) >= 4.5


def test_only_the_owners_pages_show_the_way_to_each_other() -> None:
    assert "<nav" not in head(Page.RATE) + head(Page.LOGIN)
    for page in (Page.STUDIO, Page.RESULTS, Page.CHAT):
        assert f'href="/bench/{page}/" aria-current=page' in head(page, "/bench")


def test_a_message_is_shown_as_text() -> None:
    body = bytes(message_page("<b>", "<script>", 404).body).decode()
    assert "<h1>&lt;b&gt;</h1><p>&lt;script&gt;.</p>" in body


def test_a_message_speaks_the_browsers_language() -> None:
    page = message_page(
        "This link does not work", "this session is full", 409, remedy="reload the page", accepted="de"
    )
    body = bytes(page.body).decode()
    assert '<html lang="de">' in body
    assert (
        "<h1>Dieser Link funktioniert nicht</h1><p>Diese Sitzung ist voll. Laden Sie die Seite neu.</p>"
        in body
    )
    assert '<html lang="en">' in bytes(message_page("a", "b", 404, accepted="fr").body).decode()
