"""Records and claims: what a video depends on, and which process makes it."""

import os
from pathlib import Path

import pytest

from mvt4g.benchmark.claims import Claims
from mvt4g.benchmark.manifest import ASKED, MADE
from mvt4g.benchmark.records import VideoPlace, entries_of
from mvt4g.types import InputError, RunStopped

INPUTS = {"seed": 0, "source": {"sha256": "a"}}
ENTRY = {**dict.fromkeys([*ASKED, *MADE]), "file": "dog_cam01.mp4", "cameras": "cameras/dog_cam01.json"}


def write(video: Path, cameras: Path) -> None:
    video.write_bytes(b"video")
    cameras.write_text("{}")


@pytest.fixture
def place(tmp_path: Path) -> VideoPlace:
    """Return the place of a video that was made."""
    made = VideoPlace(tmp_path, "dog_cam01")
    made.write(INPUTS, ENTRY, write)
    return made


def test_a_video_is_done_only_whole_and_of_its_inputs(place):
    assert place.is_done(lambda: INPUTS)
    with pytest.raises(InputError, match="is of other inputs: seed: got 1, want 0"):
        place.is_done(lambda: {**INPUTS, "seed": 1})
    place.cameras.unlink()
    assert not place.is_done(lambda: INPUTS)
    place.write(INPUTS, ENTRY, write)
    place.video.write_bytes(b"vide")
    assert not place.is_done(lambda: INPUTS)


def test_a_video_without_a_record_is_nobodys(place):
    place.record.unlink()
    with pytest.raises(InputError, match="is missing, which says of what"):
        place.is_done(lambda: INPUTS)
    place.video.unlink()
    assert not place.is_done(lambda: INPUTS)


def test_what_fails_leaves_no_video_but_its_reason(tmp_path):
    place = VideoPlace(tmp_path, "dog_cam01")

    def fails(video: Path, cameras: Path) -> None:
        write(video, cameras)
        raise InputError("dog: got none, want some")

    with pytest.raises(InputError):
        place.write(INPUTS, ENTRY, fails)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    place.fail(ENTRY, "dog: got none, want some")
    (entry,) = entries_of(tmp_path)
    assert (entry["status"], entry["reason"]) == ("failed", "dog: got none, want some")
    assert not place.is_done(lambda: INPUTS)
    place.write(INPUTS, ENTRY, write)
    assert [entry["status"] for entry in entries_of(tmp_path)] == ["made"]
    place.video.unlink()
    (entry,) = entries_of(tmp_path)
    assert (entry["status"], sorted(entry)) == ("missing", sorted(ASKED))


def test_leftovers_of_a_kill_go_and_others_stay(place):
    left = [place.folder / name for name in (".dog_cam01.0123abcd.part.mp4", "..dog_cam01.0.part.0123abcd.part.mp4")]
    left.append(place.record.with_name(".dog_cam01.0123abcd.part.json"))
    others = [place.folder / ".dog_cam011.0123abcd.part.mp4", place.folder / ".dog_cam01.mp4"]
    for path in (*left, *others):
        path.touch()
    place.remove_leftovers()
    assert [path.exists() for path in (*left, *others)] == [False] * 3 + [True] * 2


def in_another_process(folder: Path, name: str, alone: bool = False) -> str:
    """Return how a process fares that comes to a folder and wants a video of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            claims = Claims(folder)
            claims.enter(alone)
            os.write(writing, b"taken" if claims.take(name) else b"refused")
        except RunStopped:
            os.write(writing, b"stopped")
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return told.read()


def test_a_claim_is_of_one_process_and_ends_with_it(tmp_path):
    claims = Claims(tmp_path)
    claims.enter(alone=False)
    assert claims.take("dog_cam01")
    assert in_another_process(tmp_path, "dog_cam01") == "refused"
    assert in_another_process(tmp_path, "dog_cam02") == "taken"
    assert claims.take("dog_cam02"), "its process has ended"
    claims.give_back("dog_cam01")
    assert in_another_process(tmp_path, "dog_cam01") == "taken"
    assert in_another_process(tmp_path, "dog_cam03", alone=True) == "stopped"
    claims.close()
    assert in_another_process(tmp_path, "dog_cam03", alone=True) == "taken"
    assert (tmp_path / ".claims").read_bytes() == b""
