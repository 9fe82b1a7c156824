"""The prompts, models and responses of an import's rows, as they are stored: each once, with what is remembered of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from sqlite_utils import Database

from db import imports
from db.catalog import add_model, add_prompts, add_refs, add_responses, find_model, prompts_of_ref
from db.entities.campaigns import Campaign
from db.entities.catalog import ModelKind, Prompt, Response, Split
from labeling.formats.naming import safe_name
from labeling.formats.records import BadRow, GivenPrompt

MOST_REMEMBERED = 50_000
"""prompts of which an import remembers that they are stored"""


class Took(StrEnum):
    """What became of one thing a row gave."""

    ADDED = "added"
    THERE = "already there"
    LATER = "counted when the import ends"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an import goes: the name its sets and nameless answers get, the campaign of its votes, a split."""

    import_id: int
    name: str
    source: str
    campaign: Campaign | None = None
    split: Split | None = None


class Texts:
    """Stores the prompts, models and responses of one import; what a row learns counts from `keep_row` on."""

    def __init__(self, db: Database, target: Target) -> None:
        self.db, self.target = db, target
        self.notes: Counter[str] = Counter()
        self.prompts: dict[str, None] = {}
        """for the prompt set"""
        self._names: dict[str, str] = {}
        self._models: dict[str, tuple[str, int]] = {}
        self._stored: set[str] = set()
        """some of the prompts that are stored: a file names one again and again, mostly close together"""
        self._row_models: dict[str, tuple[str, int]] = {}
        self._row_prompts: list[str] = []
        self._row_stored: list[str] = []
        self._notes_before = self.notes

    def begin_row(self) -> None:
        """Forget what a row before this one learned and did not keep."""
        self._row_models, self._row_prompts, self._row_stored = {}, [], []
        self._notes_before = self.notes.copy()

    def refuse_row(self) -> None:
        """Nothing of this row was stored."""
        self.notes = self._notes_before

    def keep_row(self) -> None:
        """All of this row was stored."""
        self.prompts |= dict.fromkeys(self._row_prompts)
        if len(self._stored) > MOST_REMEMBERED:
            self._stored.clear()
        self._stored.update(self._row_stored)
        self._models |= self._row_models

    def prompt_of(self, given: GivenPrompt) -> Prompt:
        """The prompt of a row."""
        return Prompt.of(given.messages, given.split or self.target.split, given.tags)

    def store_prompt(self, given: GivenPrompt, *, in_set: bool = True) -> str:
        """Store a prompt with its texts, for the prompt set of the import where that is wanted: its id."""
        prompt = self.prompt_of(given)
        wanted = given.split or self.target.split
        if wanted is not None or prompt.tags or prompt.id not in self._stored:
            there = add_prompts(self.db, [prompt]).already_there
            self._row_stored.append(prompt.id)
        else:
            there = 1
        if there and wanted and imports.splits_of(self.db, [prompt.id])[prompt.id] is not wanted:
            self.notes["prompts keep the split they are stored with"] += 1
        if given.ref is not None:
            add_refs(self.db, [(given.ref, prompt.id)])
        if in_set:
            self._row_prompts.append(prompt.id)
        return prompt.id

    def known_prompt(self, given: GivenPrompt) -> str:
        """The prompt of a row that needs one with its texts: stored now, or known by the source's id."""
        if given.messages:
            return self.store_prompt(given)
        known = prompts_of_ref(self.db, given.ref or "")
        if not known:
            raise BadRow(f"no prompt is known as {given.ref}: import the prompts first, or give the text")
        if len(known) > 1:
            raise BadRow(f"prompt_id {given.ref} stands for {len(known)} prompts here: give the text")
        self._row_prompts.append(known[0])
        return known[0]

    def model(self, given: str) -> tuple[str, int]:
        """(name, row number) of a model, registered as recorded where it is new."""
        if given in self._models:
            return self._models[given]
        name = safe_name(given, "model")
        if self._names.setdefault(name, given.strip()) != given.strip():
            raise BadRow(f"the models {given!r} and {self._names[name]!r} would both be called {name!r}")
        model = find_model(self.db, name)
        if model is None or model.kind is ModelKind.RECORDED:
            model = add_model(
                self.db, name, ModelKind.RECORDED, note=f"from {PurePath(self.target.source).name}"
            )
        self._row_models[given] = name, model.id
        return name, model.id

    def response(
        self, prompt: str, model: str, number: int, text: str, settings: Mapping[str, object] | None = None
    ) -> tuple[str, Took]:
        """The model's response with this text; another text than the stored ones becomes its next sample."""
        stored = [s for s in imports.texts_of_model(self.db, prompt, number) if s.text is not None]
        same = next((s for s in stored if s.text == text), None)
        if same is not None:
            return same.id, Took.THERE
        if stored:
            self.notes["responses are a further sample of a model that had answered the prompt"] += 1
        sample = max((s.sample for s in stored), default=-1) + 1
        response = Response.of(prompt, model, text, sample=sample, settings=settings)
        add_responses(self.db, [response])
        return response.id, Took.ADDED
