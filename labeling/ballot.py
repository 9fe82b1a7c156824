"""Battle plus drawn side gives the blind ballot; ballot plus choice gives the outcome. Pure.

This is the one place where sides are swapped and un-swapped.
"""

from db.entities.catalog import Prompt
from db.entities.votes import Ballot, Choice, Outcome, Side

_OUTCOME = {
    Choice.TIE: Outcome.TIE,
    Choice.BOTH_GOOD: Outcome.BOTH_GOOD,
    Choice.BOTH_BAD: Outcome.BOTH_BAD,
    Choice.SKIP: Outcome.SKIP,
}


def slot_of(side: Side, left_is: str) -> Outcome:
    """The slot (a or b) that stood on a side of the ballot."""
    return Outcome.A if (side is Side.LEFT) == (left_is == "a") else Outcome.B


def outcome_of(choice: Choice, left_is: str) -> Outcome:
    """What was pressed, in terms of the battle."""
    if choice in (Choice.LEFT, Choice.RIGHT):
        return slot_of(Side(choice.value), left_is)
    return _OUTCOME[choice]


def choice_of(outcome: Outcome, left_is: str) -> Choice:
    """What had to be pressed for an outcome: the inverse of outcome_of."""
    if outcome.decisive:
        return Choice.LEFT if outcome.value == left_is else Choice.RIGHT
    return Choice(outcome.value)


def blind(
    assignment: str, prompt: Prompt, text_a: str, text_b: str, left_is: str, criteria: tuple[str, ...]
) -> Ballot:
    """What the rater sees of a battle: prompt, left, right, the questions. Nothing names a model."""
    left, right = (text_a, text_b) if left_is == "a" else (text_b, text_a)
    return Ballot(assignment, prompt.messages, left, right, criteria)
