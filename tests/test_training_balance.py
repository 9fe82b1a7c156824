from db.voices import Voice
from training.balance import balance


def votes(n, rater="one", side="left", winner="new", loser="old"):
    return [Voice(i, rater, side, winner, loser) for i in range(n)]


MIXED = [*votes(10), *votes(10, "two", "right", "old", "new"), *votes(10, "three", "left", "old", "new")]


def test_votes_of_several_people_for_both_sides_and_models_need_no_word():
    found = balance(MIXED)
    assert found.votes == 30
    assert found.warnings == ()
    assert (found.side.name, found.side.votes, found.side.of) == ("left", 20, 2)


def test_one_rater_is_named():
    (said,) = balance([*votes(15), *votes(15, "one", "right", "old", "new")]).warnings
    assert "all 30 votes are by one rater (one)" in said


def test_mostly_one_rater_is_named_too():
    crowd = [v._replace(rater="one") for v in MIXED[:26]] + list(MIXED[26:])
    (said,) = balance(crowd).warnings
    assert "87% of the votes are by one rater (one)" in said
    assert balance([v._replace(rater="one") for v in MIXED[:24]] + list(MIXED[24:])).warnings == ()


def test_one_side_and_one_model_are_named():
    lopsided = [*votes(19, "a"), *votes(20, "b"), *votes(1, "c", "right", "old", "new")]
    side, winner = balance(lopsided).warnings
    assert "98% of the votes are for the left answer" in side
    assert "98% of the votes on new are for it" in winner


def test_a_model_that_seldom_stood_does_not_count_as_the_winner():
    found = balance([*MIXED, *votes(3, "four", "right", "rare", "old")])
    assert found.winner.name != "rare"
    assert found.warnings == ()


def test_two_answers_of_one_model_say_nothing_of_models():
    assert balance(votes(30, winner="same", loser="same")).winner is None


def test_few_votes_and_imported_ones_without_sides_are_no_news():
    assert balance(votes(19)).warnings == ()
    assert balance(votes(30, side=None)).side is None
    assert balance([]).rater is None
