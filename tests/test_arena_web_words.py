"""The catalogue of what raters read: complete both ways, and found again in finished sentences."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from arena.web.pages import live, rate
from arena.web.words import catalogues, language_of, told
from db.entities.campaigns import CampaignStatus

ROOT = Path(__file__).resolve().parents[1]
# what a rater's browser can be answered with
SERVER = [
    ROOT / name
    for name in (
        "labeling/briefing.py", "labeling/joining.py", "labeling/lending.py", "labeling/rating.py", "arena/web/api.py",
        "arena/web/guard.py", "arena/web/live_api.py", "db/connection.py", "labeling/live_battles.py",
    )
]  # fmt: skip
SPEAKS = {
    "Busy",
    "Conflict",
    "Contradiction",
    "End",
    "NoSession",
    "NotFound",
    "Refused",
    "Unwritable",
    "_said",
    "message_page",
}
# said to owners or to scripts only, and words the page itself puts in place of
NOT_FOR_RATERS = {
    "there is no campaign to rate yet", "create one with `campaign create`", "nobody is logged in here",
    "open your personal link", "this seat does not belong to a campaign {1}", "leave the campaign out",
    "consent_required", "agree to the consent text first", "quiz_required", "answer the questions first",
    "the owner's own seat cannot withdraw", "exclude it in the studio instead",
}  # fmt: skip
# values that stand in the numbered places of a sentence
VALUES = {str(status) for status in CampaignStatus}


class _Page(HTMLParser):
    """Collects what a page says: its texts (no single keys) and the attributes that are read aloud or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._key = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._key = tag == "kbd"
        self.found |= {
            value for name, value in attrs if name in ("aria-label", "title", "placeholder") and value
        }

    def handle_endtag(self, tag: str) -> None:
        self._key = False

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if not self._key and re.search(r"[^\W\d_]{2}", words):
            self.found.add(words)


def page_says() -> set[str]:
    """Every sentence of the rating and live pages (their markup, and t("...") in their scripts), and the login's."""
    page = _Page()
    page.feed(live.markup())
    login = (rate.HERE.parent / "login.html").read_text(encoding="utf-8")
    for section in re.findall(r"<section data-for=.*?</section>", login, re.DOTALL):
        page.feed(section)
    files = [*(rate.HERE / f"{name}.js" for name in rate.PARTS), live.HERE / "live.js"]
    scripts = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return page.found | set(re.findall(r'\bt\("([^"]+)"', scripts))


def written(node: ast.AST) -> set[str]:
    """The texts an expression can be, a numbered place for each part that is put in."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) and node.value else set()
    if isinstance(node, ast.JoinedStr):
        parts, n = [], 0
        for part in node.values:
            n += isinstance(part, ast.FormattedValue)
            parts.append(part.value if isinstance(part, ast.Constant) else f"{{{n}}}")
        return {"".join(parts)}
    if isinstance(node, ast.IfExp):
        return written(node.body) | written(node.orelse)
    return set()


def server_says() -> set[str]:
    """Every sentence for raters in the modules that answer them."""
    found: set[str] = set()
    for file in SERVER:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPEAKS:
                for value in [*node.args, *(k.value for k in node.keywords)]:
                    found |= written(value)
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and not file.match("db/*")
                and isinstance(node.value, ast.Constant | ast.Dict)
            ):
                values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
                found |= {
                    text for v in values for text in written(v) if text.endswith((".", "!", "question"))
                }
    return found - NOT_FOR_RATERS


def test_the_page_and_the_server_are_heard() -> None:
    assert {
        "Left is better",
        "{n} of {total}",
        "Came here to rate?",
        "Saving",
        "Which answer is better?",
    } <= page_says()
    assert {
        "this session is {1}",
        "it is too late to undo this vote",
        "There is no such page.",
    } <= server_says()


@pytest.mark.parametrize("language", catalogues())
def test_every_sentence_a_rater_can_read_is_in_the_catalogue_and_nothing_else(language: str) -> None:
    words = catalogues()[language]
    wanted = page_says() | server_says() | VALUES
    assert wanted - set(words) == set(), "said to raters, but not in the catalogue"
    assert set(words) - wanted == set(), "in the catalogue, but said nowhere"


@pytest.mark.parametrize("language", catalogues())
def test_a_translation_fills_the_same_places(language: str) -> None:
    for english, other in catalogues()[language].items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", other)), english
        assert other.strip() == other
        assert other


def test_a_finished_sentence_is_found_again_with_its_places() -> None:
    assert told("this session is paused", "de") == "Diese Sitzung ist pausiert"
    assert told("this session is (odd).*", "de") == "Diese Sitzung ist (odd).*"
    assert told("nothing like it", "de") == "nothing like it"
    assert told("this session is paused", "en") == "this session is paused"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr, de;q=0.5, en;q=0.7", "en"), ("en;q=0.4, de;q=0.6", "de"), ("", "en"),
     ("de;q=0, fr", "en"), ("DE", "de"), (";;,q=,de;q=abc", "de"), ("fr", "en")],
)  # fmt: skip
def test_the_browser_names_the_language(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
