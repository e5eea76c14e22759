"""Round trips: what eight programs write is found, their frames and crops are undone, and truth scores as truth."""

from dataclasses import replace
from pathlib import Path

import pytest

from mvt4g.benchmark.aligned_video import align_video, scored_frames, shape_of
from mvt4g.benchmark.found_videos import Method, find_methods
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.layout_choice import LayoutChoice
from mvt4g.benchmark.score_methods import MethodScores, score_method
from mvt4g.benchmark.video_scorer import ScoreSpec, VideoScorer
from mvt4g.formats.foreign.crop_rules import CropRule
from mvt4g.formats.foreign.frame_maps import FrameMap
from mvt4g.formats.foreign.video_layouts import VideoLayout
from mvt4g.formats.foreign.video_programs import EIGHT, VIDEO_LAYOUTS
from tests.benchmark.program_writers import FRAMES_SCORED, WRITERS, frames_scored, length, moving_waves, write_truth

SHRINK = 8
LAYOUT_OF = {name: name.partition(":")[0] for name in FRAMES_SCORED}
TRUE_DB, WRONG_DB = 33.0, 27.0
"""PSNR of a true video after one encoding, and under which a wrong frame or crop is seen."""
TRUE, WRONG = 0.015, 0.03
"""The same as mean differences."""


def shrunk(layout: VideoLayout, factor: int) -> VideoLayout:
    """Return a layout whose sizes and lengths are divided as the writers divide them."""
    sizes = tuple((height // factor, width // factor) for height, width in layout.sizes)
    through = layout.crop.through
    through = None if through is None else (through[0] // factor, through[1] // factor)
    count = layout.count
    exact, most = (None if number is None else length(number, factor) for number in (count.exact, count.most))
    step = length(121, factor) - 1 if count.step == 120 else count.step
    count = replace(count, exact=exact, most=most, step=step)
    return replace(layout, sizes=sizes, crop=replace(layout.crop, through=through), count=count)


def lay_out(root: Path, shrink: int) -> tuple[Path, Path]:
    """Write truth and results of all programs, and return both folders."""
    height, width = 480 // shrink, 960 // shrink
    target = moving_waves(length(81, shrink) + 1, height, width)
    write_truth(root / "sources", "dog", target[::-1], target)
    for name, write in WRITERS.items():
        write(root / "results" / name, "dog", target, shrink)
    return root / "results", root / "sources"


def found_methods(results: Path, shrink: int) -> dict[str, Method]:
    known = {name: shrunk(layout, shrink) for name, layout in VIDEO_LAYOUTS.items()}
    return {method.name: method for method in find_methods(results, LayoutChoice(known))}


def scored(method: Method, sources: Path, out: Path) -> MethodScores:
    scorer = VideoScorer(ScoreSpec(preset="full_reference"), out)
    return score_method(method, Sources.find(sources), scorer, lambda line: None)


def difference(method: Method, sources: Path) -> float:
    """Return how far a video is from the truth that is laid over it, in units of [0, 1]."""
    (video,) = method.videos
    clip = Sources.find(sources).clip(video.clip, video.camera)
    shape = shape_of(video, method.layout)
    aligned = align_video(method, video, shape, clip, scored_frames(method.layout, video, shape, clip))
    truth = aligned.videos.target.video
    assert truth is not None
    return float((truth - aligned.videos.video).abs().mean())


def psnr(scores: MethodScores) -> float:
    (value,) = [row.value for row in scores.videos if row.metric == "psnr"]
    assert value is not None, [row for row in scores.videos if row.metric == ""]
    return value


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return lay_out(tmp_path_factory.mktemp("programs"), SHRINK)


def test_every_program_has_a_layout_and_a_writer():
    assert set(EIGHT) == set(WRITERS)
    assert set(EIGHT) <= set(VIDEO_LAYOUTS)


def test_truth_lies_over_a_true_video(small):
    results, sources = small
    methods = found_methods(results, SHRINK)
    assert {name: method.layout.name for name, method in methods.items()} == LAYOUT_OF
    for name, method in methods.items():
        (video,) = method.videos
        assert (video.clip, video.camera, video.status) == ("dog", "cam01", ""), name
        assert difference(method, sources) < TRUE, name


def wrong_frames(layout: VideoLayout) -> VideoLayout:
    return replace(layout, frames=FrameMap("step", start=1, padded=True))


def wrong_crop(layout: VideoLayout) -> VideoLayout:
    if not layout.sizes:  # of the source's size: all other rules leave the picture as it is
        return replace(layout, crop=CropRule("squeeze_cut", (70, 140)))
    return replace(layout, crop=CropRule("cover" if layout.crop.way.startswith("squeeze") else "squeeze"))


def with_warp(layout: VideoLayout) -> VideoLayout:
    return replace(layout, side_by_side=False, sizes=())


@pytest.mark.parametrize(
    ("name", "spoil"), [("gen3c", wrong_frames), ("recammaster", wrong_crop), ("gen3c", with_warp)]
)
def test_a_wrong_layout_lies_beside_it(name, spoil, small):
    results, sources = small
    method = found_methods(results, SHRINK)[name]
    assert difference(replace(method, layout=spoil(method.layout)), sources) > WRONG


def check_scores(results: Path, sources: Path, shrink: int, out: Path) -> None:
    for name, method in found_methods(results, shrink).items():
        scores = scored(method, sources, out)
        assert scores.facts["counts"] == {"expected": 1, "scored": 1}, (name, scores.videos)
        assert scores.facts["frames"] == [frames_scored(name, shrink)] * 2, name
        assert psnr(scores) > TRUE_DB, name


@pytest.mark.slow
def test_true_videos_score_as_truth(small, tmp_path):
    check_scores(*small, SHRINK, tmp_path)


@pytest.mark.slow
def test_truth_lies_over_true_videos_of_their_sizes(tmp_path):
    results, sources = lay_out(tmp_path, 1)
    for name, method in found_methods(results, 1).items():
        (video,) = method.videos
        shape = shape_of(video, method.layout)
        assert shape.size == (method.layout.sizes or ((480, 960),))[0], name
        clip = Sources.find(sources).clip(video.clip, video.camera)
        assert len(scored_frames(method.layout, video, shape, clip).output) == frames_scored(name, 1), name
        assert difference(method, sources) < TRUE, name


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [wrong_frames, wrong_crop])
@pytest.mark.parametrize("name", FRAMES_SCORED)
def test_a_wrong_layout_is_seen_in_the_score(name, spoil, small, tmp_path):
    results, sources = small
    method = found_methods(results, SHRINK)[name]
    spoilt = replace(method, layout=spoil(method.layout))
    assert psnr(scored(spoilt, sources, tmp_path)) < WRONG_DB
