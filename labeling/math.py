"""LaTeX inside Markdown: found by the delimiters people and models use, shown as MathML. Pure.

`$..$`, `$$..$$`, `\\(..\\)` and `\\[..\\]`. A formula that cannot be converted is shown as it was written. The MathML
is built element by element from an allow-list, so nothing in a formula can become markup of another kind.
"""

import html
import re
from xml.etree.ElementTree import Element, tostring

from latex2mathml import exceptions
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

LONGEST = 2_000

ELEMENTS = {
    "math", "menclose", "mfenced", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom",
    "mprescripts", "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext",
    "mtr", "munder", "munderover",
}  # fmt: skip
ATTRIBUTES = {
    "accent", "columnalign", "columnlines", "columnspan", "depth", "display", "displaystyle", "fence", "form", "height",
    "linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowlines", "rowspacing",
    "rspace", "scriptlevel", "separator", "stretchy", "symmetric", "width",
}  # fmt: skip
# lengths could push a formula over the page: only small ones stay
_PLAIN = re.compile(r"[a-z-]{0,24}( [a-z-]{1,24}){0,8}|-?\d{0,2}(\.\d{1,6})?(em|ex|px|pt|%)?")
_FAILURES: tuple[type[Exception], ...] = (
    *(e for e in vars(exceptions).values() if isinstance(e, type) and issubclass(e, Exception)),
    AttributeError, IndexError, KeyError, TypeError, ValueError, StopIteration, RuntimeError, RecursionError,
)  # fmt: skip

_CLOSER = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}


def mathml(latex: str, *, display: bool) -> str | None:
    """The formula as MathML markup, or None where it cannot be converted."""
    if len(latex) > LONGEST or latex.count("{") > 200:
        return None
    try:
        root = convert_to_element(latex, display="block" if display else "inline")
        clean = _clean(root)
        return None if clean is None else tostring(clean, encoding="unicode")
    except _FAILURES:
        return None


def _clean(element: Element, depth: int = 0) -> Element | None:
    """A copy that holds allow-listed elements and attributes only; None for one that does not belong."""
    if element.tag not in ELEMENTS or depth > 60:
        return None
    kept = {k: v for k, v in element.attrib.items() if k in ATTRIBUTES and _PLAIN.fullmatch(v)}
    copy = Element(element.tag, kept)
    # the converter keeps its symbols as character references for a later unescape; here they become characters
    copy.text = html.unescape(element.text) if element.text else None
    for child in element:
        inner = _clean(child, depth + 1)
        if inner is not None:
            copy.append(inner)
    return copy


def math_plugin(md: MarkdownIt) -> None:
    """Let a Markdown parser see formulas: tokens `math_inline` and `math_display` with the LaTeX as content."""
    md.inline.ruler.before("escape", "math", _inline)
    md.block.ruler.before("fence", "math", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def _opener(text: str, at: int) -> str | None:
    two = text[at : at + 2]
    if two in ("$$", "\\(", "\\["):
        return two
    return "$" if text[at : at + 1] == "$" else None


def _inline(state: StateInline, silent: bool) -> bool:
    """`$x$` and its kin inside a paragraph."""
    opener = _opener(state.src, state.pos)
    if opener is None:
        return False
    start = state.pos + len(opener)
    end = _end(state.src, start, opener)
    if end is None:
        return False
    if not silent:
        kind = "math_display" if opener in ("$$", "\\[") else "math_inline"
        token = state.push(kind, "", 0)
        token.content, token.markup = state.src[start:end], opener
    state.pos = end + len(opener)
    return True


def _end(text: str, start: int, opener: str) -> int | None:
    """Where the formula ends; None where these are no formula's delimiters (prices in dollars, say)."""
    end = text.find(_CLOSER[opener], start, start + LONGEST + 2)
    while end > 0 and opener.startswith("$") and text[end - 1] == "\\":
        end = text.find(_CLOSER[opener], end + 1, start + LONGEST + 2)
    inner = text[start:end] if end >= 0 else ""
    if not inner.strip():
        return None
    if opener == "$" and (inner[0].isspace() or inner[-1].isspace() or text[end + 1 : end + 2].isdigit()):
        return None
    return end


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """`$$` or `\\[` at the beginning of a line up to the line that ends with its closer."""
    begin = state.bMarks[start_line] + state.tShift[start_line]
    opener = state.src[begin : begin + 2]
    if opener not in ("$$", "\\["):
        return False
    closer = _CLOSER[opener]
    for line in range(start_line, min(end_line, start_line + 80)):
        first = begin + 2 if line == start_line else state.bMarks[line]
        text = state.src[first : state.eMarks[line]].rstrip()
        if closer in text[:-2]:
            return False  # something follows the formula on its line: it is part of a paragraph
        if text.endswith(closer) and (line > start_line or len(text) > 2):
            break
    else:
        return False
    if silent:
        return True
    token = state.push("math_display", "", 0)
    lines = state.getLines(start_line, line + 1, state.blkIndent, False).strip()
    token.content, token.markup, token.block = lines[2:-2], opener, True
    state.line = line + 1
    return True
