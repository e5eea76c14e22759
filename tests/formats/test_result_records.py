"""Results that are there and whole, are another's, or are damaged."""

from pathlib import Path

import pytest

from mvt4g.formats.result_records import ResultPlace
from mvt4g.types import InputError

INPUTS = {"source": "a", "settings": {"steps": 4}}


@pytest.fixture
def place(tmp_path: Path) -> ResultPlace:
    place = ResultPlace(tmp_path, "predict", "dog/arc_left-s0")
    place.write(INPUTS, fill)
    return place


def fill(folder: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)


def test_nothing_is_done_where_there_is_nothing_and_inputs_are_not_asked(tmp_path: Path) -> None:
    def inputs() -> dict[str, str]:
        raise AssertionError("a video would be read for nothing")

    assert not ResultPlace(tmp_path, "predict", "dog/arc_left-s0").is_done(inputs)


def test_what_was_written_is_done(place: ResultPlace) -> None:
    assert place.is_done(lambda: INPUTS)
    assert sorted(path.name for path in place.folder.parent.iterdir()) == ["arc_left-s0"], "the record lies apart"


def test_other_inputs_are_named(place: ResultPlace) -> None:
    with pytest.raises(InputError, match=r"holds other results: settings\.steps: got 5, want 4; want another --run"):
        place.is_done(lambda: {**INPUTS, "settings": {"steps": 5}})


def test_results_without_a_record_are_nobodys(place: ResultPlace) -> None:
    place.record.unlink()
    with pytest.raises(InputError, match=r"holds results, but .* is missing"):
        place.is_done(lambda: INPUTS)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2}', '{"version": 1, "inputs": {}, "files": 3}'])
def test_a_broken_record_is_named(place: ResultPlace, content: str) -> None:
    place.record.write_text(content)
    with pytest.raises(InputError, match=r"arc_left-s0\.json: "):
        place.is_done(lambda: INPUTS)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("A.txt")])
def test_damaged_files_are_made_anew_and_others_stay(place: ResultPlace, damage) -> None:
    (place.folder / "mine.pkl").write_text("an export")
    assert place.is_done(lambda: INPUTS)
    damage(place.folder / "a.txt")
    assert not place.is_done(lambda: INPUTS)
    place.write(INPUTS, fill)
    assert place.is_done(lambda: INPUTS)
    assert {path.name: path.read_text() for path in place.folder.iterdir()} == {
        "a.txt": "a.txt", "b.txt": "b.txt", "mine.pkl": "an export",
    }  # fmt: skip
    assert [path.name for path in place.folder.parent.iterdir()] == ["arc_left-s0"]


def test_what_fails_leaves_no_folder(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        fill(folder)
        raise InputError("no room")

    place = ResultPlace(tmp_path, "predict", "dog/arc_left-s0")
    with pytest.raises(InputError, match="no room"):
        place.write(INPUTS, broken)
    assert not list(place.folder.parent.iterdir())
    assert not place.is_done(lambda: INPUTS)


def test_what_a_killed_process_left_is_removed(place: ResultPlace) -> None:
    left = place.folder.with_name(f".{place.folder.name}.0123abcd.part")
    other = place.folder.with_name(".other-s0.0123abcd.part")
    for folder in (left, other):
        folder.mkdir()
        fill(folder)
    place.remove_leftovers()
    assert not left.exists()
    assert other.exists(), "another process may be at work on it"
