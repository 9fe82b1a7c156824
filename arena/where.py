"""Which votes a report is about: `turn=1,rater=expert*,tag=code`. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from db.entities.votes import Vote
from db.errors import UserError
from labeling.agreement import Repeats

Tags = Mapping[str, Collection[str]]

_VALUES: Mapping[str, Callable[[Vote, Tags], Iterable[str]]] = {
    "turn": lambda v, _: () if v.turn is None else (str(v.turn),),
    "rater": lambda v, _: (v.rater_name,),
    "kind": lambda v, _: (v.rater_kind.value,),
    "tag": lambda v, tags: tags.get(v.prompt, ()),
    "split": lambda v, _: (v.split.value,),
    "model": lambda v, _: (v.model_a, v.model_b),
}


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions on votes: one of the patterns of every key must fit (`*` and `?` stand for anything)."""

    patterns: Mapping[str, tuple[str, ...]]
    repeats: Repeats = Repeats.LAST

    def fits(self, vote: Vote, tags: Tags) -> bool:
        """Whether the report is about this vote."""
        return all(
            any(fnmatchcase(value, p) for value in _VALUES[key](vote, tags) for p in patterns)
            for key, patterns in self.patterns.items()
        )


def parse(text: str | None) -> Where:
    """`key=pattern` parts, comma-separated; the same key again widens it. UserError names a part that is none."""
    patterns: dict[str, tuple[str, ...]] = {}
    repeats = Repeats.LAST
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        key, is_there, pattern = (s.strip() for s in part.partition("="))
        if key == "repeats" and pattern in ("last", "every"):
            repeats = Repeats[pattern.upper()]
        elif is_there and pattern and key in _VALUES:
            patterns[key] = (*patterns.get(key, ()), pattern)
        else:
            raise UserError(f"--where does not understand {part!r}",
                            f"write {', '.join(f'{k}=...' for k in _VALUES)} or repeats=every")  # fmt: skip
    return Where(patterns, repeats)
