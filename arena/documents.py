"""A folder of documents to ask about: its passages by BM25 (Robertson and Zaragoza 2009), through bm25s. Reads only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import UserError

if TYPE_CHECKING:
    import bm25s

KINDS = (".md", ".txt", ".rst")
MOST_FILES, LARGEST = 2_000, 4_000_000
PASSAGE = 900
"""characters of a passage, about: paragraphs are kept together up to this"""
SHOWN = 4
TELL = "Answer from these passages where they help, and name them by their number. Say so where they do not answer."


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, with the file it stands in."""

    source: str
    text: str


def sources_for(folder: str, question: str, most: int = SHOWN) -> list[Passage]:
    """The passages of a folder that fit a question best, best first; none where no word is found. UserError."""
    import bm25s

    passages, index = _indexed(*_state(folder))
    tokens = bm25s.tokenize([question], stopwords="en", show_progress=False)
    if not any(word in index.vocab_dict for word in tokens.vocab):
        return []
    places, scores = index.retrieve(tokens, k=min(most, len(passages)), show_progress=False)
    return [passages[int(i)] for i, score in zip(places[0], scores[0], strict=True) if score > 0]


def told_with(system: str, passages: Sequence[Passage]) -> str:
    """A system prompt with the passages, numbered, after it."""
    if not passages:
        return system
    listed = "\n\n".join(f"[{n}] {p.source}\n{p.text}" for n, p in enumerate(passages, 1))
    return f"{system}\n\n{TELL}\n\n{listed}".strip()


def _state(folder: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """The folder and its documents with sizes and times: a change in any of them makes a new index."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"there is no folder {folder}", "give a folder on the machine that runs the server")
    files = [f for f in sorted(root.rglob("*")) if f.suffix.lower() in KINDS and f.is_file()][
        : MOST_FILES + 1
    ]
    if not files or len(files) > MOST_FILES:
        how_many = "no documents" if not files else f"more than {MOST_FILES:,} documents"
        raise UserError(f"{folder} holds {how_many} ({', '.join(KINDS)})", "choose another folder")
    stats = [(f, f.stat()) for f in files]
    return str(root), tuple(
        (str(f.relative_to(root)), s.st_size, s.st_mtime_ns) for f, s in stats if s.st_size <= LARGEST
    )


@lru_cache(maxsize=4)
def _indexed(root: str, files: tuple[tuple[str, int, int], ...]) -> tuple[list[Passage], "bm25s.BM25"]:
    import bm25s

    passages = [Passage(name, text) for name, _, _ in files for text in _passages(Path(root) / name)]
    if not passages:
        raise UserError(f"the documents in {root} are empty", "choose another folder")
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([p.text for p in passages], stopwords="en", show_progress=False), show_progress=False
    )
    return passages, index


def _passages(file: Path) -> Iterator[str]:
    """A document in pieces of whole paragraphs; one that is longer by itself is cut."""
    piece = ""
    for paragraph in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        text = paragraph.strip()
        if piece and len(piece) + len(text) > PASSAGE:
            yield piece
            piece = ""
        while len(text) > 2 * PASSAGE:
            yield text[:PASSAGE]
            text = text[PASSAGE:]
        piece = f"{piece}\n\n{text}".strip()
    if piece:
        yield piece
