"""TAP-Vid's pickles: a dict of clips, a list of them, frames as JPEG."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.readers.selection import Selection
from mvt4g.formats.readers.tapvid import TapVidClip, count, is_there, list_clips, read, read_truth
from mvt4g.metrics.functional.tracks import tapvid
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, disagreement, tracks_px
from tests.formats.layouts.tapvid import tapvid_clip


def _write(path: Path, content) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_davis_is_a_dict(tmp_path: Path, clip) -> None:
    path = _write(tmp_path / "tapvid_davis.pkl", {"goat": tapvid_clip(clip, 0), "dog": tapvid_clip(clip, 2)})
    goat, dog = list_clips(path)
    assert (goat, dog) == (TapVidClip(path, "goat"), TapVidClip(path, "dog"))
    assert count(dog) == (1, 3)
    found = read(dog)
    assert_agrees(found, clip.select_views([2]), depth=False, cameras=False)
    assert found.name == "dog"
    assert (found.points_world, found.point_instance, found.depth, found.instances, found.fps) == (None,) * 5


def test_rgb_stacking_is_a_list(tmp_path: Path, clip) -> None:
    path = _write(tmp_path / "tapvid_rgb_stacking.pkl", [tapvid_clip(clip, 1)])
    assert_agrees(read(TapVidClip(path, 0)), clip.select_views([1]), depth=False, cameras=False)


def test_kinetics_is_files_of_lists_with_jpegs(tmp_path: Path, clip) -> None:
    for number in (0, 1, 10):
        _write(tmp_path / f"{number}_of_0011.pkl", [tapvid_clip(clip, 0, jpeg=True)] * 2)
    assert is_there(tmp_path)
    clips = list_clips(tmp_path)
    assert [(key.path.name[:2], key.key) for key in clips[-2:]] == [("10", 0), ("10", 1)]
    found, seen = read(clips[0]), clip.select_views([0])
    assert torch.equal(found.visible, seen.visible)
    assert tracks_px(found, seen) < 1e-3
    assert float((found.video - seen.video).abs().mean()) < 0.02  # JPEG's error; unrelated pictures are 10 times off
    assert float((found.video - clip.select_views([1]).video).abs().mean()) > 0.05


def test_frames_are_chosen(tmp_path: Path, clip) -> None:
    path = _write(tmp_path / "a.pkl", {"goat": tapvid_clip(clip, 0)})
    part = read(TapVidClip(path, "goat"), Selection(frames=[1, 2]))
    assert torch.equal(part.visible, clip.visible[:1, 1:])
    assert part.cameras.cam_from_world.shape == (1, 2, 4, 4)


def test_the_checks_see_other_conventions(tmp_path: Path, clip) -> None:
    seen = clip.select_views([0])
    path = _write(tmp_path / "a.pkl", {"seen": tapvid_clip(clip, hidden=False), "less": tapvid_clip(clip, by=(47, 35))})
    assert disagreement(read(TapVidClip(path, "seen")), seen)["visible"] > 0.9
    assert tracks_px(read(TapVidClip(path, "less")), seen) > 0.5  # pixels over (width - 1): up to a pixel off


def test_a_file_that_changed_is_read_anew(tmp_path: Path, clip) -> None:
    path = _write(tmp_path / "a.pkl", {"goat": tapvid_clip(clip)})
    assert [key.key for key in list_clips(path)] == ["goat"]
    _write(path, {"dog": tapvid_clip(clip)})
    assert [key.key for key in list_clips(path)] == ["dog"]


def _annotated(points, occluded):
    """Four frames of 24x48 with these points (n t 2), in shares of the sides."""
    video = np.zeros((4, 24, 48, 3), np.uint8)
    return {"video": video, "points": np.array(points, np.float32), "occluded": np.array(occluded)}


def test_a_visible_point_just_outside_is_scored_as_tapnet_scores_it(tmp_path: Path) -> None:
    """The second of four frames shows it 1.2 px right of the picture: hidden in a clip, seen in a score."""
    content = _annotated([[[0.5, 0.5], [1.025, 0.5], [1.0, 0.5], [0.5, 0.5]]], [[False, False, False, True]])
    clip = TapVidClip(_write(tmp_path / "a.pkl", {"goat": content}), "goat")
    assert read(clip).visible[0, :, 0].tolist() == [True, False, False, False]
    truth = read_truth(clip)
    assert truth.target_visible[:, 0].tolist() == [True, True, True, False]
    assert truth.target[1, 0].tolist() == pytest.approx([49.2, 12.0])
    assert truth.queries.tolist() == [[0.0, 24.0, 12.0]]
    pred = truth.target.clone()
    pred[1, 0, 0] -= 3.0  # 16 of TAP-Vid's pixels: within none
    scores = tapvid(**truth._asdict(), pred=pred, pred_visible=truth.target_visible)
    assert float(scores["delta_avg"]) == 0.5


def test_queries_are_those_of_tapnet(tmp_path: Path) -> None:
    """Three points: hidden at first, never seen, and always seen."""
    where = [[[0.1 * frame + 0.2 * point, 0.25] for frame in range(4)] for point in range(3)]
    hidden = [[True, True, False, False], [True] * 4, [False] * 4]
    clip = TapVidClip(_write(tmp_path / "a.pkl", [_annotated(where, hidden)]), 0)
    first = read_truth(clip, "first")
    assert first.queries[:, 0].tolist() == [2, 0]
    assert first.queries[:, 1].tolist() == pytest.approx([48 * 0.2, 48 * 0.4])
    assert first.target.shape == (4, 2, 2)
    strided = read_truth(clip, "strided", query_stride=2)
    assert strided.queries[:, 0].tolist() == [0, 2, 2]
    assert strided.queries[:, 1].tolist() == pytest.approx([48 * 0.4, 48 * 0.2, 48 * 0.6])
    assert torch.equal(strided.target[:, 0], strided.target[:, 2]), "a track for each query of a point"
    nothing = TapVidClip(_write(tmp_path / "b.pkl", [_annotated(where[1:2], hidden[1:2])]), 0)
    with pytest.raises(InputError, match=r"b\.pkl: 0: occluded: got no point that a queried frame shows"):
        read_truth(nothing)
    with pytest.raises(InputError, match="query_mode, query_stride: got 'strided', 0"):
        read_truth(clip, "strided", query_stride=0)


def _spoilt(clip, **changes):
    return {"goat": {name: value for name, value in (tapvid_clip(clip) | changes).items() if value is not None}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": None}, "a.pkl: goat: points: missing"),
        ({"points": np.zeros((128, 2, 2))}, r"a.pkl: goat: points: got shape \(128, 2, 2\), want \(n t 2\) with t=3"),
        ({"points": np.full((128, 3, 2), np.nan)}, "goat: points: got no finite position for point"),
        ({"points": np.zeros((0, 3, 2)), "occluded": np.zeros((0, 3), bool)}, "goat: points: got no point"),
        ({"occluded": np.zeros((128, 3))}, "goat: occluded: got entries of type float64"),
        ({"video": [b"no JPEG"] * 3}, "goat: video: cannot be read as an image"),
        ({"video": np.zeros((3, 36, 48), np.uint8)}, "goat: video: got frames of uint8 and shapes"),
        ({"video": np.zeros((3, 36, 48, 3))}, "goat: video: got frames of float64"),
    ],
)
def test_broken_clips_are_refused_by_file_and_field(tmp_path: Path, clip, changes, message: str) -> None:
    path = _write(tmp_path / "a.pkl", _spoilt(clip, **changes))
    with pytest.raises(InputError, match=message):
        read(list_clips(path)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (pickle.dumps({"goat": np.arange(99)})[:60], "cannot be read"),
        (pickle.dumps({}), "got a dict, want TAP-Vid's dict or list of clips"),
        (pickle.dumps([1, 2]), "got a list, want TAP-Vid's"),
        (pickle.dumps(np.zeros(3)), "got a ndarray, want TAP-Vid's"),
    ],
)
def test_broken_pickles_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=f"a.pkl: {message}"):
        list_clips(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    assert not is_there(tmp_path)
    with pytest.raises(InputError, match="got no pickle there"):
        list_clips(tmp_path)


def test_points_in_pixels_are_refused(tmp_path: Path, clip) -> None:
    content = tapvid_clip(clip, 0)
    path = _write(tmp_path / "a.pkl", {"goat": content | {"points": content["points"] * 256}})
    with pytest.raises(InputError, match=r"goat: points: got .* where seen, want shares of the picture's sides"):
        read(TapVidClip(path, "goat"))
    far = content["points"] + 100 * content["occluded"][..., None]  # where a hidden point lies, nobody says
    assert torch.equal(
        read(TapVidClip(_write(tmp_path / "b.pkl", {"goat": content | {"points": far}}), "goat")).visible,
        clip.visible[:1],
    )


def test_ragged_frames_are_refused(tmp_path: Path, clip) -> None:
    path = _write(tmp_path / "a.pkl", {"goat": tapvid_clip(clip, 0) | {"video": [[[1], [1, 2]]] * 3}})
    with pytest.raises(InputError, match="goat: video: got a frame of ragged lists"):
        read(TapVidClip(path, "goat"))
