"""Which format a file is of: named by the person, or guessed from its columns and first row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.errors import UserError
from labeling.formats import annotation, benchmarks, instructions, plain, transcripts
from labeling.formats.records import Format, Given, GivenPrompt, ImportKind, Parser, Row

FORMATS: tuple[Format, ...] = (
    *annotation.FORMATS, *transcripts.FORMATS, *benchmarks.FORMATS, *instructions.FORMATS, plain.ITEMS, plain.SCORED_PAIRS, *plain.PLAIN
)  # fmt: skip

# ours: what others call it, best first
ALIASES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("instruction", "question", "query", "text", "user_prompt", "input_text"),
    "prompt_id": ("question_id", "instruction_id", "qid"),
    "messages": ("conversation",),
    "response": ("output", "answer", "completion", "generation", "generated_text"),
    "model": ("generator", "model_id", "model_name"),
    "rater": ("judge", "annotator", "worker", "worker_id", "annotator_id", "rater_id", "judge_id"),
    "model_a": ("model_1", "generator_1", "left", "left_model", "model_left"),
    "model_b": ("model_2", "generator_2", "right", "right_model", "model_right"),
    "response_a": ("output_1", "output_a", "answer_a", "response_1", "left_response", "completion_a"),
    "response_b": ("output_2", "output_b", "answer_b", "response_2", "right_response", "completion_b"),
    "winner": ("choice", "preference", "preferred", "label", "vote", "outcome", "human"),
    "scorer": ("reward_model", "judge", "annotator"),
    "score": ("reward", "rating"),
    "chosen": ("chosen_response",),
    "rejected": ("rejected_response",),
    "tags": ("category", "tag"),
    "tstamp": ("timestamp", "created_at", "time", "date"),
    "item_id": ("battle_id", "pair_id"),
}
OURS = frozenset(ALIASES) | {
    "split", "system", "turn", "inconsistent", "simulated", "settings", "conversation_a", "conversation_b", "input",
    "instruction", "output", "generator", "question", "answer", "conversations", "turns", "question_id", "judge",
    "chosen_response", "rejected_response", "score_a", "score_b", "preference", "annotator",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """How the rows of one file are read: its format, the renamed columns and the parser."""

    format: Format
    mapping: tuple[tuple[str, str], ...]
    """(theirs, ours)"""
    parser: Parser

    def read(self, row: Row) -> list[Given]:
        """What the row gives. BadRow with the reason where it gives nothing."""
        return list(self.parser(renamed(row, self.mapping)))


def renamed(row: Row, mapping: Sequence[tuple[str, str]]) -> Row:
    """The row with the columns of the mapping under our names."""
    if not mapping:
        return row
    theirs = dict(mapping)
    return {theirs.get(name, name): value for name, value in row.items()}


def reader_of(
    kind: ImportKind, columns: Sequence[str], first: Row, format_name: str | None, mapping: Mapping[str, str], source: str
) -> Reader:  # fmt: skip
    """The reader for a file with these columns. UserError names the columns where no format fits."""
    given = _checked(mapping, columns, source)
    have = frozenset(given.get(c, c) for c in columns)
    row = renamed(first, tuple(given.items()))
    candidates = [f for f in FORMATS if parser_of(f, kind) is not None]
    if format_name is not None:
        candidates = [_named(format_name, kind)]
    for known in candidates:
        aliases = _aliases(known, have) if known.aliased else {}
        names = frozenset(aliases.get(c, c) for c in have)
        fits = known.matches(names, renamed(row, tuple(aliases.items()))) or known.aliased
        if not known.lacks(names) and (fits or format_name is not None):
            parser = parser_of(known, kind)
            assert parser is not None
            return Reader(known, (*given.items(), *aliases.items()), parser)
    raise _unknown(kind, columns, candidates[-1] if format_name else plain_format(kind), source)


def parser_of(known: Format, kind: ImportKind) -> Parser | None:
    """The parser of a kind; the prompts of a file come from whatever its rows hold."""
    if kind in known.parsers or kind is not ImportKind.PROMPTS:
        return known.parsers.get(kind)
    inner = known.parsers.get(ImportKind.RESPONSES) or known.parsers.get(ImportKind.PAIRS)
    return (lambda row: _prompts(inner, row)) if inner is not None else None


def _prompts(parser: Parser, row: Row) -> list[Given]:
    return [g.prompt for g in parser(row) if not isinstance(g, GivenPrompt) and g.prompt.messages]


def plain_format(kind: ImportKind) -> Format:
    """The contract's own format of a kind."""
    return next(f for f in plain.PLAIN if f.name == kind)


def _named(name: str, kind: ImportKind) -> Format:
    found = next((f for f in FORMATS if f.name == name), None)
    fitting = ", ".join(f.name for f in FORMATS if parser_of(f, kind) is not None)
    if found is None:
        raise UserError(f"there is no format {name!r}", f"for {kind} use one of: {fitting}")
    if parser_of(found, kind) is None:
        raise UserError(f"the format {name} holds no {kind}", f"use one of: {fitting}")
    return found


def _aliases(known: Format, have: frozenset[str]) -> dict[str, str]:
    """{theirs: ours} for our columns that are missing and have another name here; a name serves once."""
    taken: dict[str, str] = {}
    wanted = {name for names in known.needs for name in names}
    for ours, names in sorted(ALIASES.items(), key=lambda pair: pair[0] not in wanted):
        theirs = next((n for n in names if n in have and n not in taken), None)
        if ours not in have and theirs is not None:
            taken[theirs] = ours
    return taken


def _own_name(name: str) -> str:
    """Our name of a column, where another of its names was given."""
    return name if name in OURS else next((ours for ours, names in ALIASES.items() if name in names), name)


def _checked(given: Mapping[str, str], columns: Sequence[str], source: str) -> dict[str, str]:
    mapping = {theirs: _own_name(ours) for theirs, ours in given.items()}
    for theirs, ours in mapping.items():
        if theirs not in columns:
            raise UserError(
                f"{source} has no column {theirs!r} to map", f"its columns are: {_listed(columns)}"
            )
        if ours not in OURS:
            raise UserError(f"nothing here is called {ours!r}", f"map to one of: {', '.join(sorted(OURS))}")
    if len(set(mapping.values())) < len(mapping):
        raise UserError("two columns are mapped to the same name", "map each to another")
    return {t: o for t, o in mapping.items() if t != o}


def _unknown(kind: ImportKind, columns: Sequence[str], known: Format, source: str) -> UserError:
    wanted = ", ".join(" or ".join(names) for names in known.needs)
    return UserError(f"{source} does not look like {kind}: its columns are {_listed(columns)}",
                     f"needed are {wanted}: give --format, or name columns with --map theirs=ours")  # fmt: skip


def _listed(columns: Sequence[str]) -> str:
    """The first dozen columns in one line, whatever a file calls them."""
    names = [" ".join(c.split())[:60] or repr(c)[:60] for c in columns[:12]]
    return ", ".join(names) + (", ..." if len(columns) > 12 else "")
