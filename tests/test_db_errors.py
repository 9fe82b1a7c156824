"""Names to choose from in an error: all of a few, the likest of many."""

import pytest
from sqlite_utils import Database

from db.catalog import add_prompts, prompts_of
from db.entities.catalog import Prompt
from db.errors import NotFound, one_of


def test_a_few_names_are_all_told_in_their_order():
    assert one_of([], "x") == "none yet"
    assert one_of(["sft", "base"], "bse") == "sft, base"


def test_of_many_names_the_likest_are_told_and_the_rest_counted():
    names = [f"model-{n}" for n in range(80)] + ["starter-sft"]
    told = one_of(names, "starter-stf")
    assert told.startswith("starter-sft, ")
    assert told.endswith(", and 71 more")


def test_of_many_prompt_sets_the_likest_are_told(db: Database):
    for n in range(12):
        add_prompts(db, [Prompt.of([{"role": "user", "content": f"Question {n}?"}])], prompt_set=f"set-{n}")
    with pytest.raises(NotFound, match=r"a set \(set-11, .*, and 2 more\)"):
        prompts_of(db, "set11")
