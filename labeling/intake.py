"""What parsed rows become in the home: prompts, responses, battles, votes, pairs, scores. One row, one step.

What must not be half-visible (prompt sets, pairs) is kept back until `finish`; votes count when their import is
finished.
"""

from collections.abc import Mapping, Sequence

from sqlite_utils import Database

from db import exports, imports
from db.campaigns import add_battle, add_campaign_models
from db.catalog import (
    Added,
    add_prompts,
    add_responses,
    add_scores,
    prompts_of_ref,
)
from db.connection import transaction
from db.entities.campaigns import Campaign, CampaignStatus, Purpose
from db.entities.catalog import Prompt, Response, Score, Split, content_id, split_of
from db.entities.votes import Outcome, RaterKind
from db.imports import ImportedVote, add_imported_votes
from db.raters import add_rater
from db.snapshots import add_pairs
from db.times import Times
from labeling.formats.naming import rater_name
from labeling.formats.records import (
    BadRow,
    Given,
    GivenItem,
    GivenPair,
    GivenPrompt,
    GivenResponse,
    GivenScore,
    GivenVote,
)
from labeling.intake_texts import Target, Texts, Took

PAIRS_AT_ONCE = 500  # some 20 ms
MOST_REMEMBERED = 50_000
"""meetings of two models on a prompt whose battles an import remembers"""
_Meeting = tuple[str, int | None, frozenset[int]]


class Intake:
    """Puts the rows of one import into the home."""

    def __init__(self, db: Database, target: Target) -> None:
        self.db, self.target = db, target
        self._texts = Texts(db, target)
        self._times = Times()
        self._pairs: dict[tuple[str, str, str], int] = {}
        self._row_pairs: dict[tuple[str, str, str], int] = {}
        self._repeated = 0
        self._raters: dict[tuple[str, RaterKind], int] = {}
        self._row_raters: dict[tuple[str, RaterKind], int] = {}
        self._row_battles: list[int] = []
        self._met: set[int] = set()
        self._battles: dict[_Meeting, dict[int, int]] = {}
        """{(prompt, turn, models): {battle: the model in its slot a}} of some of those that are stored"""

    def take(self, given: Sequence[Given], line: int) -> list[Took]:
        """Store all that a row gives, or nothing: BadRow where it contradicts what is there or names what is not."""
        self._new_row()
        repeated = self._repeated
        try:
            with transaction(self.db):
                took = [self._stored(g, line) for g in given]
        except BadRow:
            self._texts.refuse_row()
            self._repeated = repeated
            raise
        self._texts.keep_row()
        self._raters |= self._row_raters
        self._pairs |= self._row_pairs
        self._met.update(self._row_battles)
        return took

    def _new_row(self) -> None:
        """What a row learns counts only once the row is stored: forget the last one's."""
        self._texts.begin_row()
        self._row_pairs, self._row_battles, self._row_raters = {}, [], {}

    def battles_met(self) -> list[int]:
        """The battles of the rows since this was last asked, made now or there already."""
        met, self._met = sorted(self._met), set()
        return met

    def _stored(self, given: Given, line: int) -> Took:
        match given:
            case GivenPrompt():
                return self._prompt_row(given)
            case GivenResponse():
                return self._response_row(given)
            case GivenItem():
                return self._item(given)
            case GivenVote():
                return self._vote(given)
            case GivenPair():
                return self._pair(given, line)
            case GivenScore():
                return self._score(given)

    def finish(self) -> Added:
        """Fill the prompt set and the pair set; how many of the pairs were new.

        A new pair set is filled under another name, chunk by chunk, and is there under its own only when it is whole.
        """
        if self._texts.prompts:
            imports.add_to_set(self.db, self.target.name, self._texts.prompts)
        if not self._pairs:
            return Added(0, 0)
        name = self.target.name
        staged = (
            name if imports.has_pair_set(self.db, name) else f"{name[:60]} import-{self.target.import_id}"
        )
        added = 0
        pairs = list(self._pairs)
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            added += add_pairs(
                self.db, staged, self.target.source, pairs[start : start + PAIRS_AT_ONCE]
            ).added
        if staged != name:
            imports.rename_pair_set(self.db, staged, name)
        return Added(added, len(pairs) - added + self._repeated)

    def close(self) -> None:
        """Let go of what was only for the rows."""
        self._times.close()

    @property
    def fills_set(self) -> bool:
        """Whether there were prompts for a set."""
        return bool(self._texts.prompts)

    @property
    def notes(self) -> Mapping[str, int]:
        """{what is to be told: rows}."""
        return self._texts.notes

    # -- prompts and responses -------------------------------------------------------------------------------------

    def _prompt_row(self, given: GivenPrompt) -> Took:
        before = self._texts.prompt_of(given)
        there = before.id in imports.splits_of(self.db, [before.id])
        self._texts.store_prompt(given)
        return Took.THERE if there else Took.ADDED

    def _response_row(self, given: GivenResponse) -> Took:
        prompt = self._texts.known_prompt(given.prompt)
        name, number = self._texts.model(given.model or self.target.name)
        return self._texts.response(prompt, name, number, given.text, given.settings)[1]

    def _item(self, given: GivenItem) -> Took:
        prompt = self._texts.known_prompt(given.prompt)
        (name_a, model_a), (name_b, model_b) = (
            self._texts.model(given.model_a),
            self._texts.model(given.model_b),
        )
        response_a, _ = self._texts.response(prompt, name_a, model_a, given.text_a)
        response_b, _ = self._texts.response(prompt, name_b, model_b, given.text_b)
        if self.target.campaign is not None:
            self._add_battle(imports.Item(prompt, response_a, response_b, model_a, model_b), None)
        return (
            Took.ADDED if imports.add_items(self.db, [(given.item, response_a, response_b)]) else Took.THERE
        )

    # -- pairs and scores ------------------------------------------------------------------------------------------

    def _pair(self, given: GivenPair, line: int) -> Took:
        prompt = self._texts.known_prompt(given.prompt)
        responses = [Response.of(prompt, None, text) for text in (given.chosen, given.rejected)]
        chosen, rejected = (r.id for r in responses)
        pair, turned = (prompt, chosen, rejected), (prompt, rejected, chosen)
        other = self._pairs.get(turned, self._row_pairs.get(turned))
        if other is not None:
            raise BadRow(f"the other way round than line {other}")
        add_responses(self.db, responses)
        if pair in self._pairs or pair in self._row_pairs:
            self._repeated += 1
        else:
            self._row_pairs[pair] = line
        return Took.LATER

    def _score(self, given: GivenScore) -> Took:
        prompt = self._texts.known_prompt(given.prompt)
        name, number = self._texts.model(given.model)
        if given.text is not None:
            response, _ = self._texts.response(prompt, name, number, given.text)
        else:
            stored = [s for s in imports.texts_of_model(self.db, prompt, number) if s.text is not None]
            if not stored:
                raise BadRow(f"no response of {name} to this prompt is stored: give its text")
            response = stored[0].id
        added = add_scores(self.db, [Score(response, given.scorer, given.score)]).added
        return Took.ADDED if added else Took.THERE

    # -- votes -----------------------------------------------------------------------------------------------------

    def _vote(self, given: GivenVote) -> Took:
        campaign = self._campaign
        rater = self._rater(given)
        receipt = self._receipt(given)
        stored = imports.vote_of_receipt(self.db, receipt)
        if stored is not None and stored.cut_off and stored.import_id != self.target.import_id:
            raise BadRow("it came with an import that was cut off: import that file again first")
        battle, swapped = self._battle(given)
        outcome = _other_way(given.outcome) if swapped else given.outcome
        if stored is None:
            vote = ImportedVote(receipt, campaign.id, battle, rater, outcome, given.at)
            add_imported_votes(self.db, [vote], self.target.import_id)
            return Took.ADDED
        if stored.outcome is not outcome:
            raise BadRow(
                f"this rater's vote here is stored as {stored.outcome}, not {outcome}: votes never change"
            )
        return Took.THERE

    @property
    def _campaign(self) -> Campaign:
        assert self.target.campaign is not None, "votes need a campaign"
        return self.target.campaign

    def _receipt(self, given: GivenVote) -> str:
        """A vote's id: campaign, rater, the battle as the file gives it, and how many of theirs on it came before."""
        if given.item is not None:
            battle = content_id("item", given.item, given.turn)
        else:
            asked = Prompt.of(given.prompt.messages).id if given.prompt.messages else given.prompt.ref
            slots = sorted([(given.model_a, given.text_a or ""), (given.model_b, given.text_b or "")])
            battle = content_id("battle", asked, given.turn, slots)
        key = (rater_name(given.rater), given.kind.value, battle)
        return content_id("vote", self._campaign.name, *key, self._times.nth(content_id(*key)))

    def _rater(self, given: GivenVote) -> int:
        name = rater_name(given.rater)
        if (name, given.kind) in self._raters:
            return self._raters[name, given.kind]
        known = imports.rater_kind(self.db, name)
        if known is not None and (known.kind is not given.kind or known.seated):
            what = "with a seat" if known.seated else f"as a {known.kind}"
            raise BadRow(f"a rater {name!r} is here already, {what}")
        self._row_raters[name, given.kind] = add_rater(self.db, name, given.kind)
        return self._row_raters[name, given.kind]

    def _battle(self, given: GivenVote) -> tuple[int, bool]:
        """(battle, whether its slots are the other way round) of a vote, made where it is new."""
        if given.item is not None:
            return self._add_battle(self._item_of(given.item), given.turn)
        (name_a, model_a), (name_b, model_b) = (
            self._texts.model(given.model_a),
            self._texts.model(given.model_b),
        )
        if model_a == model_b:
            raise BadRow("model_a and model_b are the same")
        prompt = self._prompt_of_vote(given, model_a, model_b)
        if given.text_a is None or given.text_b is None:
            known = self._known_battles((prompt, given.turn, frozenset((model_a, model_b))))
            if len(known) == 1:
                battle, slot_a = next(iter(known.items()))
                return battle, slot_a != model_a
        response_a = self._response_of_vote(prompt, name_a, model_a, given.text_a)
        response_b = self._response_of_vote(prompt, name_b, model_b, given.text_b)
        return self._add_battle(imports.Item(prompt, response_a, response_b, model_a, model_b), given.turn)

    def _known_battles(self, meeting: _Meeting) -> Mapping[int, int]:
        """{battle: the model in its slot a} of these two models on a prompt; remembered where this row made none itself."""
        known = self._battles.get(meeting)
        if known is None:
            known = imports.battles_of(self.db, self._campaign.id, *meeting)
            if len(self._battles) > MOST_REMEMBERED:
                self._battles.clear()
            if not self._row_battles:
                self._battles[meeting] = known
        return known

    def _item_of(self, item: str) -> imports.Item:
        found = imports.items_of_ref(self.db, item)
        if not found:
            raise BadRow(
                f"no item is known as {item}: import the items first (import responses FILE --format items)"
            )
        if len(found) > 1:
            raise BadRow(f"item_id {item} stands for {len(found)} battles here")
        return found[0]

    def _add_battle(self, item: imports.Item, turn: int | None) -> tuple[int, bool]:
        campaign = self._campaign
        split = imports.splits_of(self.db, [item.prompt])[item.prompt]
        if campaign.settings.purpose is Purpose.EVALUATE and split is not Split.HELDOUT:
            raise BadRow(f"a train prompt, and {campaign.name} evaluates on held-out prompts only")
        battle, swapped = add_battle(self.db, campaign.id, item.prompt, item.response_a, item.response_b,
                                     item.model_a, item.model_b, turn)  # fmt: skip
        add_campaign_models(self.db, campaign.id, (item.model_a, item.model_b))
        self._battles.pop((item.prompt, turn, frozenset((item.model_a, item.model_b))), None)
        self._row_battles.append(battle)
        return battle, swapped

    def _prompt_of_vote(self, given: GivenVote, *models: int) -> str:
        """The stored prompt of a vote; where only the source's id is known, a prompt of this campaign without texts.

        A second turn has no prompt in common: each model was asked after its own first answer.
        """
        later = given.turn is not None and given.turn > 1 and given.text_a is None
        if given.prompt.messages and not later:
            return self._texts.store_prompt(given.prompt, in_set=False)
        ref = given.prompt.ref if given.prompt.ref is not None else Prompt.of(given.prompt.messages).id
        nameless = content_id("ref", self._campaign.name, ref, given.turn)
        known = prompts_of_ref(self.db, ref)
        if not later and not imports.splits_of(self.db, [nameless]):
            answered = [p for p in known if all(imports.texts_of_model(self.db, p, m) for m in models)]
            for choice in (known, answered):
                if len(choice) == 1:
                    return choice[0]
        self._store_nameless(nameless, given.prompt, known)
        return nameless

    def _store_nameless(self, prompt_id: str, given: GivenPrompt, known: Sequence[str]) -> None:
        """Store a prompt without texts, with the tags and the split of the known one it belongs to, if there is one."""
        home = known[0] if len(known) == 1 else ""
        tags = {*given.tags, *exports.tags_of(self.db, [home]).get(home, ())}
        split = given.split or self.target.split or imports.splits_of(self.db, [home]).get(home)
        add_prompts(self.db, [Prompt(prompt_id, (), split or split_of(prompt_id), tuple(sorted(tags)))])

    def _response_of_vote(self, prompt: str, model: str, number: int, text: str | None) -> str:
        if text is not None:
            return self._texts.response(prompt, model, number, text)[0]
        stored = imports.texts_of_model(self.db, prompt, number)
        with_text = next((s.id for s in stored if s.text is not None), None)
        if with_text is not None:
            return with_text
        if self._campaign.status is not CampaignStatus.CLOSED:
            raise BadRow(
                f"a response without text, and {self._campaign.name} is not closed: it would be shown to raters"
            )
        response = Response.of(prompt, model, None)
        add_responses(self.db, [response])
        return response.id


def _other_way(outcome: Outcome) -> Outcome:
    """The outcome as seen from the other slots."""
    return {Outcome.A: Outcome.B, Outcome.B: Outcome.A}.get(outcome, outcome)
