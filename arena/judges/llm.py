"""A language model that judges: asked twice about every two answers, once in each order, or once about each answer.

Reasons come first either way.
"""

from collections.abc import Sequence

from arena.judges import Answered, Compared, Duel, Graded
from arena.judges.asking import (
    PAIR_VERSION,
    SINGLE_VERSION,
    ask_pair,
    ask_single,
    read_grade,
    read_pair,
    together,
)
from arena.players import Generated, GenerationSettings, Player, Unanswerable, Unfinished
from db.entities.catalog import Message

SETTINGS = GenerationSettings(temperature=0.0, max_new_tokens=512)


class LlmJudge:
    """Says of two answers which is better, or grades one, by asking any player, over a server or on this machine."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def compare(self, duels: Sequence[Duel]) -> list[Compared]:
        """A word on each duel, in their order; none where either order gave nothing that can be read.

        UserError where the model does not answer at all.
        """
        asked = [ask_pair(d.prompt, *texts) for d in duels for texts in ((d.a, d.b), (d.b, d.a))]
        said = answers(self._player, asked, SETTINGS)
        return [self._word(*said[2 * i : 2 * i + 2]) for i in range(len(duels))]

    def grade(self, answered: Sequence[Answered]) -> list[Graded]:
        """A grade of each answer, in their order; none where it said nothing that can be read. UserError as `compare`."""
        said = answers(self._player, [ask_single(*one) for one in answered], SETTINGS)
        return [self._graded(one) for one in said]

    def _graded(self, said: Generated | str) -> Graded:
        if isinstance(said, str):
            return Graded(None, {"prompt": SINGLE_VERSION, "error": said})
        grade = read_grade(said.text)
        kept = {"prompt": SINGLE_VERSION, "said": said.text, "grade": grade, "finish": said.finish_reason}
        return Graded(grade, kept)

    def _word(self, forward: Generated | str, reverse: Generated | str) -> Compared:
        both = [None if isinstance(s, str) else read_pair(s.text) for s in (forward, reverse)]
        kept = {
            name: {"error": s} if isinstance(s, str) else {"said": s.text, "verdict": v, "finish": s.finish_reason}
            for name, s, v in zip(("forward", "reverse"), (forward, reverse), both, strict=True)
        }  # fmt: skip
        return Compared(together(*both), None, False, {"prompt": PAIR_VERSION, **kept})


def answers(
    player: Player, asked: Sequence[Sequence[Message]], settings: GenerationSettings
) -> list[Generated | str]:
    """An answer to each, or why the model cannot take it (too long, say). UserError where it takes none of them."""
    found: dict[int, Generated | str] = {}
    refused: Unanswerable | None = None
    try:
        return list(player.respond(asked, settings))
    except Unanswerable:
        pass
    except Unfinished as stopped:
        if not isinstance(stopped.__cause__, Unanswerable):
            raise
        found.update(stopped.answers)
    for i in [i for i in range(len(asked)) if i not in found]:
        try:
            found[i] = player.respond([asked[i]], settings)[0]
        except (Unanswerable, Unfinished) as error:
            cause = error if isinstance(error, Unanswerable) else error.__cause__
            if not isinstance(cause, Unanswerable):
                raise
            refused, found[i] = cause, str(cause)
    if refused is not None and all(isinstance(s, str) for s in found.values()):
        raise refused
    return [found[i] for i in range(len(asked))]
