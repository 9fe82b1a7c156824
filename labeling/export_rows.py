"""The rows of an export, made from some of its votes at a time: CHUNK of them where rows are votes, else whole battles.

What becomes of the votes is noted meanwhile (`Ledger`): two bytes a vote, and a few hundred a battle for what is contradictory, refused
or tells a repetition.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlite_utils import Database

from db import exports, imports
from db.adjudications import Ruling
from db.campaigns import get_campaign, list_campaigns
from db.entities.catalog import Response
from db.entities.votes import PreferencePair, Vote
from db.errors import UserError
from db.exports import ResponseText
from db.votes import votes_of
from labeling.gathering import (
    UNLISTED,
    VOTES,
    Gathering,
    Order,
    RefusedText,
    rulings_of,
    survey_of,
    where_of,
)
from labeling.pairs import Effect, LeftOut, TwoTexts, decided_pairs, effect, written_pairs
from labeling.policy import Method, PairPolicy
from labeling.surveying import Ints, Survey, by_battle
from labeling.tables import PAIRED, ExportFormat, Gathered, Row, rows
from labeling.unpaired import JudgedAnswer, decided_answers, written_answers
from labeling.verdicts import Crowd, crowd_of, labels, usable_votes

CHUNK = 2000
"""votes that are read at once"""
TEXT_FAULTS = ("no text", "empty response", "identical responses")
"""reasons that lie in the texts, not in the votes"""
NAMELESS = "the prompt's text is not known"
Made = PreferencePair | JudgedAnswer


def rows_of(db: Database, gathering: Gathering) -> Iterator[tuple[str, Row]]:
    """Each row with the name of its split, read at the moment of the gathering; its ledger is whole after the last one.

    UserError where the policy needs more overlap or no vote makes a row.
    """
    shape = gathering.order.shape
    if shape in VOTES:
        numbered = gathering.numbers.in_order(gathering.seen.taken)
        for votes in _parts(numbered):
            found = _read(db, gathering, votes)
            yield from rows(shape, replace(found, remarks=exports.remarks(db, list(found.votes))))
        return
    maker = _Maker(db, gathering)
    if shape is ExportFormat.RESPONSES:
        yield from _prompt_rows(db, gathering, maker.net_wins())
    else:
        for found in maker.made():
            yield from rows(shape, found)
        _check_any(gathering, maker.count)


def _parts(votes: Ints) -> Iterator[Ints]:
    return (votes[start : start + CHUNK] for start in range(0, len(votes), CHUNK))


def _read(db: Database, gathering: Gathering, votes: Ints) -> Gathered:
    """These votes, in this order, and what belongs to them."""
    given, responses = _votes(db, votes)
    prompts = dict.fromkeys(v.prompt for v in given.values())
    return replace(
        gathering.found, votes=given, responses=responses, prompts=exports.messages_of(db, prompts),
        tags=exports.tags_of(db, prompts), ids=gathering.numbers.among(votes),
    )  # fmt: skip


def _votes(db: Database, votes: Ints) -> tuple[dict[int, Vote], dict[str, ResponseText]]:
    """These votes, in this order, and the responses they are on."""
    read = votes_of(db, votes.tolist())
    responses = (r for v in read.values() for r in (v.response_a, v.response_b))
    return {v: read[v] for v in votes.tolist()}, exports.response_texts(db, responses)


def _check_any(gathering: Gathering, made: int) -> None:
    """UserError where no vote made a row."""
    if made:
        return
    where, why = where_of(gathering.order), ", ".join(f"{n} {w}" for w, n in gathering.left_out.items())
    if gathering.order.shape is ExportFormat.SFT:
        raise UserError(f"{where} has no answers that raters wrote", "let raters write better answers: a setting of the campaign")  # fmt: skip
    what = "pairs" if gathering.order.shape in PAIRED else "judged answers"
    raise UserError(f"{where} has no {what} to export ({why})", "collect votes that prefer one response, or export --format votes")  # fmt: skip


# -- battle by battle ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a battle's verdict rests on beside its votes."""

    ruled: Mapping[int, Ruling]
    hidden: frozenset[str]
    """responses that are there for check questions only: as if without text"""
    seen: Survey

    def texts(self, responses: Mapping[str, ResponseText]) -> dict[str, str | None]:
        """{response: what it says} for verdicts."""
        return {r: None if r in self.hidden else t.text for r, t in responses.items()}

    def crowd(self, db: Database, policy: PairPolicy) -> Crowd:
        """What all votes together say, where the policy asks for it; UserError where they overlap too little."""
        if not policy.needs_crowd:
            return Crowd()
        given, known = [], dict[str, str]()
        ruled, unruled = set[str](), set[str]()
        for part in _parts(self.seen.ids):
            votes, responses = _votes(db, part)
            usable, _ = usable_votes(votes.values(), self.texts(responses), policy)
            for vote, (rater, key, label) in zip(usable, labels(usable), strict=True):
                battle = known.setdefault(key, key)  # one text in memory, however many votes
                given.append((rater, battle, label))
                (ruled if vote.battle in self.ruled else unruled).add(battle)
        return crowd_of(given, policy) if unruled - ruled else Crowd()


class _Maker:
    """Makes pairs or judged answers of the votes of one export, and keeps its ledger."""

    def __init__(self, db: Database, gathering: Gathering) -> None:
        self._db, self._gathering = db, gathering
        self._policy, self._ledger = gathering.order.policy, gathering.ledger
        self._pairing = gathering.order.shape in PAIRED
        campaigns = list(gathering.found.campaigns)
        self._grounds = Grounds(gathering.ruled, exports.only_in_checks(db, campaigns), gathering.seen)
        self._crowd = self._grounds.crowd(db, self._policy)
        self._texts = TwoTexts()
        self._faulty: dict[tuple[str, str, str, str], list[tuple[int, int]]] = {}
        """{(reason, prompt, response, response): (place, vote) of each}"""
        self._nameless: list[RefusedText] = []
        self._repeated: list[RefusedText] = []
        self._unknown: list[int] = []
        """votes on answers to prompts without a text"""
        self.count = 0
        """pairs or answers that were made, or those that raters wrote where only these go out"""

    def made(self) -> Iterator[Gathered]:
        """What rows are made of, battle by battle, then what raters wrote; the ledger is whole at the end."""
        for places in by_battle(self._gathering.seen, CHUNK):
            yield self._decided(places)
        for votes in _parts(self._gathering.seen.written):
            yield self._written(votes)
        self._close()

    def net_wins(self) -> Counter[str]:
        """{response: pairs in which it is chosen less those in which it is rejected}."""
        wins: Counter[str] = Counter()
        for found in self.made():
            for pair in found.pairs:
                wins[pair.chosen] += 1
                wins[pair.rejected] -= 1
        return wins

    def _decided(self, places: Ints) -> Gathered:
        votes = self._gathering.seen.ids[places]
        found = self._read(votes)
        given, texts = list(found.votes.values()), self._grounds.texts(found.responses)
        asked = given, texts, self._policy, self._grounds.ruled, self._crowd
        made: Sequence[Made]
        if self._pairing:
            pairs = decided_pairs(*asked)
            self._ledger.contradictions += pairs.contradictions
            made, out = pairs.pairs, pairs.out
        else:
            made, out = (judged := decided_answers(*asked)).answers, judged.out
        if self._gathering.order.shape is not ExportFormat.SFT:
            self.count += len(made)
        self._leave_out(out, found.votes, dict(zip(votes.tolist(), places.tolist(), strict=True)))
        return self._screened(found, made)

    def _written(self, votes: Ints) -> Gathered:
        found = self._read(votes)
        texts = self._grounds.texts(found.responses)
        given: list[tuple[Response, Sequence[Made]]]
        if self._pairing:
            given = [(r, pairs) for r, pairs in written_pairs(found.votes.values(), texts, self._policy)]
        else:
            given = [(r, [answer]) for r, answer in written_answers(found.votes.values(), self._policy)]
        made = [one for _, ones in given for one in ones]
        self.count += len(made)
        self._ledger.fates.take_in([v for one in made for v in one.votes])
        self._ledger.written |= {r.id for r, _ in given}
        own = {r.id: ResponseText(r.prompt, None, r.text, 0, None) for r, _ in given}
        return self._screened(replace(found, responses={**found.responses, **own}), made)

    def _read(self, votes: Ints) -> Gathered:
        found = _read(self._db, self._gathering, votes)
        self._ledger.written |= {r for r, text in found.responses.items() if text.model is None}
        return replace(found, redacted=exports.redacted_votes(self._db, found.votes))

    def _leave_out(
        self, out: Iterable[LeftOut], votes: Mapping[int, Vote], places: Mapping[int, int]
    ) -> None:
        reasons: dict[str, list[int]] = {}
        for vote, reason in out:
            reasons.setdefault(reason, []).append(vote)
            if reason in TEXT_FAULTS:
                v = votes[vote]
                key = reason, v.prompt, v.response_a, v.response_b
                self._faulty.setdefault(key, []).append((places[vote], vote))
        for reason, left in reasons.items():
            self._ledger.fates.leave_out(left, reason)

    def _screened(self, found: Gathered, made: Sequence[Made]) -> Gathered:
        """Without the rows whose prompt is not known or whose texts are there already."""
        pairs = [one for one in made if isinstance(one, PreferencePair)]
        answers = [one for one in made if isinstance(one, JudgedAnswer)]
        self._nameless += [_refused(p, NAMELESS) for p in pairs if not found.prompts[p.prompt]]
        self._unknown += [v for a in answers if not found.prompts[a.prompt] for v in a.votes]
        kept, repeated = self._texts.without_duplicates(
            (p for p in pairs if found.prompts[p.prompt]), {r: t.text for r, t in found.responses.items()}
        )
        self._repeated += [_refused(r.pair, r.reason) for r in repeated]
        answers = [a for a in answers if found.prompts[a.prompt]]
        inside: list[Made] = [*kept, *answers]
        self._ledger.fates.keep([v for one in inside for v in one.votes])
        bare = {r for p in kept if not p.votes for r in (p.chosen, p.rejected)}
        bare |= {a.response for a in answers if not a.votes}
        return replace(self._beside(found, bare) if bare else found, pairs=kept, answers=answers)

    def _beside(self, found: Gathered, responses: Iterable[str]) -> Gathered:
        """With all votes on these responses, for rows that the owner ruled against every vote."""
        votes = votes_of(self._db, exports.counted_votes_on(self._db, list(found.campaigns), responses))
        places = {campaign: place for place, campaign in enumerate(found.campaigns)}
        every = sorted({**votes, **found.votes}.values(), key=lambda v: (places[v.campaign], v.id))
        redacted = exports.redacted_votes(self._db, [v.id for v in every])
        return replace(found, votes={v.id: v for v in every}, redacted=redacted)

    def _close(self) -> None:
        ledger = self._ledger
        faulty = sorted(self._faulty.items(), key=lambda one: min(one[1]))
        ledger.refused += [
            RefusedText(reason, prompt, (a, b), tuple(vote for _, vote in sorted(votes)))
            for (reason, prompt, a, b), votes in faulty
        ]
        late = [*self._nameless, *self._repeated]
        ledger.refused += late
        for reason, votes in [*((r.reason, r.votes) for r in late), (NAMELESS, self._unknown)]:
            ledger.fates.leave_out(
                [v for v, kept in zip(votes, ledger.fates.kept(votes), strict=True) if not kept], reason
            )
        if self._gathering.order.shape in UNLISTED:
            ledger.fates.forget()


def _refused(pair: PreferencePair, reason: str) -> RefusedText:
    return RefusedText(reason, pair.prompt, (pair.chosen, pair.rejected), pair.votes)


# -- prompt by prompt ----------------------------------------------------------------------------------------------


def _prompt_rows(db: Database, gathering: Gathering, wins: Mapping[str, int]) -> Iterator[tuple[str, Row]]:
    """The rows of the format `responses`: one a prompt and round."""
    rounds = range(len(gathering.rounds))
    for place in rounds:
        for numbers in gathering.rounds[place].by_prompt(CHUNK):
            names = exports.response_ids(db, numbers.tolist())
            responses = exports.response_texts(db, names)
            prompts = list(dict.fromkeys(r.prompt for r in responses.values()))
            yield from rows(ExportFormat.RESPONSES, replace(
                gathering.found, rounds=[names if i == place else [] for i in rounds], wins=wins, responses=responses,
                prompts=exports.messages_of(db, prompts), splits=imports.splits_of(db, prompts),
                tags=exports.tags_of(db, prompts), scores=exports.scores_of(db, responses),
            ))  # fmt: skip


# -- beforehand ----------------------------------------------------------------------------------------------------


def effects_of(db: Database, order: Order) -> tuple[Effect, ...]:
    """What each method would make of the votes, everything else as the order has it; nothing is held but counts."""
    chosen = [get_campaign(db, order.campaign)] if order.campaign else list_campaigns(db)
    grounds = Grounds(
        rulings_of(db, chosen),
        exports.only_in_checks(db, [c.id for c in chosen]),
        survey_of(db, chosen, order.policy),
    )
    effects, crowds = {}, {}
    for method in Method:
        policy = replace(order.policy, method=method)
        try:
            crowds[method], effects[method] = grounds.crowd(db, policy), Effect(policy)
        except UserError as error:
            effects[method] = Effect(policy, why_not=error.what)
    for places in by_battle(grounds.seen, CHUNK):
        votes, responses = _votes(db, grounds.seen.ids[places])
        given, texts = list(votes.values()), grounds.texts(responses)
        for method, crowd in crowds.items():
            effects[method] += effect(given, texts, effects[method].policy, grounds.ruled, crowd)
    return tuple(effects.values())
