"""Names to choose from in an error: all of a few, the likest of many."""

from db.errors import one_of


def test_a_few_names_are_all_told_in_their_order():
    assert one_of([], "x") == "none yet"
    assert one_of(["sft", "base"], "bse") == "sft, base"


def test_of_many_names_the_likest_are_told_and_the_rest_counted():
    names = [f"model-{n}" for n in range(80)] + ["starter-sft"]
    told = one_of(names, "starter-stf")
    assert told.startswith("starter-sft, ")
    assert told.endswith(", and 71 more")
