"""Model text as HTML: what it may contain, and that what people write is shown well."""

from html.parser import HTMLParser

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labeling.blinding import ATTRIBUTES, LONGEST_RENDERED, SCHEMES, TAGS, render_markdown
from labeling.math import ATTRIBUTES as MATH_ATTRIBUTES
from labeling.math import mathml
from tests.payloads import PAYLOADS


class Census(HTMLParser):
    """Notes every element and attribute of a document."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.others: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def assert_safe(html: str) -> None:
    census = Census(html)
    assert not census.others
    for tag, attributes in census.elements:
        assert tag in TAGS, tag
        assert set(attributes) <= ATTRIBUTES.get(tag, set()) | ({"rel"} if tag == "a" else set()), (
            tag,
            attributes,
        )
        if tag == "a":
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
            assert str(attributes["href"]).split(":")[0].lower() in SCHEMES


def test_the_allow_list_holds_nothing_that_runs_loads_or_covers() -> None:
    assert not TAGS & {
        "script",
        "style",
        "img",
        "video",
        "audio",
        "iframe",
        "form",
        "button",
        "input",
        "svg",
        "object",
        "link",
    }
    everywhere = set().union(*ATTRIBUTES.values())
    assert not everywhere & {"style", "id", "class", "src", "srcset", "onclick", "title", "name"}
    assert "href" not in MATH_ATTRIBUTES


@pytest.mark.parametrize("text", PAYLOADS, ids=range(len(PAYLOADS)))
def test_hostile_text_stays_text(text: str) -> None:
    assert_safe(render_markdown(text))


def test_there_are_enough_hostile_texts() -> None:
    assert len(set(PAYLOADS)) >= 120


pieces = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from([*"*_`~|$<>[]()#&\\!-\n:/\"'", "$$", "\\(", "\\)", "\\[", "\\]", "```", "http://", "javascript:", "<img src=x onerror=y>",
                         "\\frac{", "\\text{", "}", "&lt;", "&#x3c;", "](", "![", "\n\n", "    ", "|-|-|\n", "> ", "1. "]),
    ),
    max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(pieces)
@example("$\\text{<script>}$")
def test_any_text_becomes_allow_listed_html_only(text: str) -> None:
    html = render_markdown(text)
    assert_safe(html)
    assert nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, generic_attribute_prefixes=None,
                     link_rel="noopener noreferrer nofollow") == html  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=40))
def test_plain_words_are_all_shown(words: str) -> None:
    assert words in Census(render_markdown(words)).words


def test_what_is_left_out_is_shown_as_words() -> None:
    assert Census(render_markdown("<b>bold</b>")).words.strip() == "<b>bold</b>"
    shown = Census(render_markdown("![a cat](http://x.example/cat.png)")).words
    assert "a cat" in shown
    assert "http://x.example/cat.png" in shown
    assert "javascript:alert(1)" in Census(render_markdown("[x](javascript:alert(1))")).words


def test_a_link_shows_where_it_leads() -> None:
    assert (
        "https://evil.example"
        in Census(render_markdown("[https://bank.example](https://evil.example)")).words
    )
    assert Census(render_markdown("<https://a.example>")).words.strip() == "https://a.example"


def test_markdown_people_use() -> None:
    html = render_markdown(
        "# T\n\n**b** *i* ~~s~~ `c`\n\n1. x\n2. y\n\n> q\n\n| a | b |\n|:-|-:|\n| 1 | 2 |\n\n```python\nx < 1\n```\nline\nbreak"
    )
    for part in ("<h1>T</h1>", "<strong>b</strong>", "<em>i</em>", "<del>s</del>", "<code>c</code>", "<ol>", "<blockquote>",
                 '<td data-align="right">2</td>', '<code data-language="python">x &lt; 1', "line<br>"):  # fmt: skip
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        "$x^2$",
        "$$x^2$$",
        r"\(x^2\)",
        r"\[x^2\]",
        "$$\nx^2\n$$",
        "\\[\nx^2\n\\]",
        "- a\n  \\[ x^2 \\]",
        "a $x^2$, b",
    ],
)
def test_formulas_become_mathml(text: str) -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in render_markdown(text)


@pytest.mark.parametrize(
    "text", ["It costs $5 and $10.", "`$x$`", "```\n$x$\n```", r"\$x\$", "$ x $", "US$5-US$6"]
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert "<math" not in render_markdown(text)


def test_a_formula_that_cannot_be_converted_is_shown_as_written() -> None:
    assert r"<code>$\left( x$</code>" in render_markdown(r"a $\left( x$ b")
    assert mathml("{" * 300, display=False) is None
    assert mathml("x" * 5000, display=False) is None


def test_a_very_long_text_is_shown_plain() -> None:
    text = "*a* " * (LONGEST_RENDERED // 4 + 1)
    assert render_markdown(text) == f"<pre>{text}</pre>"
