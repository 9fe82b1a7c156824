"""Safe rendering of model text: Markdown to HTML by an allow-list, the same for both sides of a ballot. Pure.

Nothing in a text can run, load, link unseen, take an id or a class, or cover the page: raw HTML is shown as it was
written, an image becomes its description and address in words, a link shows where it leads. A second sanitizer
checks the result, so that a fault in the first wall stays inside the second.
"""

import html
import re
from collections.abc import Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from labeling.math import ATTRIBUTES as MATH_ATTRIBUTES
from labeling.math import ELEMENTS as MATH_ELEMENTS
from labeling.math import math_plugin, mathml

LONGEST_RENDERED = (
    60_000  # a longer text is shown plain: nobody reads it, and parsing it would hold up others
)

TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
} | MATH_ELEMENTS  # fmt: skip
ATTRIBUTES = {
    "a": {"href", "target"},
    "code": {"data-language"},
    "ol": {"start"},
    "td": {"data-align"},
    "th": {"data-align"},
    **dict.fromkeys(MATH_ELEMENTS, MATH_ATTRIBUTES),
}
SCHEMES = {"http", "https", "mailto"}
_LINK = re.compile(r"(https?://[^\s/?#]|mailto:[^\s])", re.IGNORECASE)
_ALIGN = re.compile(r"text-align:(left|center|right)")
_LANGUAGE = re.compile(r"[A-Za-z0-9+#.-]{1,20}")


def _image(self: RendererHTML, tokens: Sequence[Token], i: int, options: OptionsDict, env: EnvType) -> str:
    """An image's description and address in words: nothing is fetched."""
    token = tokens[i]
    words = self.renderInlineAsText(token.children or [], options, env)
    return html.escape(f"[image: {words}]({token.attrs.get('src', '')})")


def _link_open(
    _self: RendererHTML, tokens: Sequence[Token], i: int, _options: OptionsDict, _env: EnvType
) -> str:
    return f'<a href="{html.escape(str(tokens[i].attrs.get("href", "")))}" target="_blank">'


def _link_close(
    self: RendererHTML, tokens: Sequence[Token], i: int, options: OptionsDict, env: EnvType
) -> str:
    """The link's end and, unless its words say it already, the address it leads to."""
    start = next(j for j in range(i - 1, -1, -1) if tokens[j].type == "link_open")
    address = str(tokens[start].attrs.get("href", ""))
    words = self.renderInlineAsText(tokens[start + 1 : i], options, env)
    return "</a>" if words.strip() == address else f"</a> ({html.escape(address)})"


def _code_block(
    _self: RendererHTML, tokens: Sequence[Token], i: int, _options: OptionsDict, _env: EnvType
) -> str:
    """A block of code with the language it says it is in."""
    token = tokens[i]
    language = _LANGUAGE.match(token.info.strip())
    label = f' data-language="{language[0]}"' if language else ""
    return f"<pre><code{label}>{html.escape(token.content)}</code></pre>\n"


def _cell_open(
    _self: RendererHTML, tokens: Sequence[Token], i: int, _options: OptionsDict, _env: EnvType
) -> str:
    """A table cell; its alignment becomes an attribute of ours instead of a style."""
    token = tokens[i]
    align = _ALIGN.search(str(token.attrs.get("style", "")))
    return f'<{token.tag} data-align="{align[1]}">' if align else f"<{token.tag}>"


def _math(_self: RendererHTML, tokens: Sequence[Token], i: int, _options: OptionsDict, _env: EnvType) -> str:
    """A formula as MathML; as written where that fails."""
    token = tokens[i]
    display = token.type == "math_display"
    shown = mathml(token.content, display=display)
    if shown is None:
        closer = {"\\(": "\\)", "\\[": "\\]"}.get(token.markup, token.markup)
        shown = f"<code>{html.escape(token.markup + token.content + closer)}</code>"
    return f"<div>{shown}</div>\n" if token.block else shown


def _parser() -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 40}).enable(
        ["table", "strikethrough"]
    )
    md.use(math_plugin)
    md.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    rules = {
        "image": _image, "link_open": _link_open, "link_close": _link_close, "fence": _code_block,
        "code_block": _code_block, "th_open": _cell_open, "td_open": _cell_open,
        "math_inline": _math, "math_display": _math,
    }  # fmt: skip
    for name, rule in rules.items():
        md.add_render_rule(name, rule)
    # strikethrough renders as <s>, which screen readers skip; <del> says what it is
    md.add_render_rule("s_open", lambda *_: "<del>")
    md.add_render_rule("s_close", lambda *_: "</del>")
    return md


_MARKDOWN = _parser()


@lru_cache(maxsize=2048)
def render_markdown(text: str) -> str:
    """Model or prompt text as HTML that is safe to put into a page."""
    if len(text) > LONGEST_RENDERED:
        return f"<pre>{html.escape(text)}</pre>"
    return nh3.clean(
        _MARKDOWN.render(text.replace("\x00", "\ufffd")),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        generic_attribute_prefixes=None,
    )
