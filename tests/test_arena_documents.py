"""A folder of documents: what fits a question, in whole paragraphs, read anew when a file changes."""

import pytest

from arena.documents import PASSAGE, sources_for, told_with
from db.errors import UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "animals").mkdir()
    (tmp_path / "animals" / "quokka.md").write_text(
        "The quokka is a small marsupial.\n\nIt lives on Rottnest Island."
    )
    (tmp_path / "cooking.txt").write_text(
        "Boil an egg for eight minutes.\n\n" + "Salt the water first. " * 200
    )
    (tmp_path / "picture.png").write_bytes(b"quokka")
    return tmp_path


def test_the_passage_that_fits_comes_first(folder):
    best = sources_for(str(folder), "Where does the quokka live?")[0]
    assert best.source == "animals/quokka.md"
    assert "Rottnest" in best.text
    assert sources_for(str(folder), "How long to boil an egg?")[0].source == "cooking.txt"


def test_a_question_without_a_known_word_has_no_sources(folder):
    assert sources_for(str(folder), "zzz yyy?") == []
    assert sources_for(str(folder), "?") == []


def test_passages_are_short_enough_to_go_with_a_question(folder):
    found = sources_for(str(folder), "salt water", most=50)
    assert len(found) > 2
    assert max(len(p.text) for p in found) <= 2 * PASSAGE


def test_a_changed_file_is_read_anew(folder):
    assert sources_for(str(folder), "wombat") == []
    (folder / "animals" / "wombat.md").write_text("A wombat digs burrows.")
    assert sources_for(str(folder), "wombat")[0].source == "animals/wombat.md"


def test_the_models_are_told_with_numbers(folder):
    found = sources_for(str(folder), "quokka")
    told = told_with("Be brief.", found)
    assert told.startswith("Be brief.\n\n")
    assert "[1] animals/quokka.md\nThe quokka is" in told
    assert told_with("Be brief.", []) == "Be brief."


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_that_holds_nothing_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no folder|holds no documents"):
        sources_for(str(tmp_path / name), "anything")
