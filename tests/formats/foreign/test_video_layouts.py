"""What is assumed of programs: index maps, counts, crops and names, by values worked out by hand."""

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.crop_rules import CropRule
from mvt4g.formats.foreign.frame_maps import FrameCount, FrameMap
from mvt4g.formats.foreign.video_names import PLACEHOLDERS, check_pattern, read_name
from mvt4g.formats.foreign.video_programs import EIGHT, VIDEO_LAYOUTS
from mvt4g.types import InputError


@pytest.mark.parametrize(
    ("frames", "num_output", "num_source", "output", "source"),
    [
        (FrameMap(), 3, 5, (0, 1, 2), (0, 1, 2)),
        (FrameMap(start=2, stride=3), 3, 9, (0, 1, 2), (2, 5, 8)),
        (FrameMap(padded=True), 6, 4, (0, 1, 2, 3), (0, 1, 2, 3)),
        (FrameMap("spread"), 5, 9, (0, 1, 2, 3, 4), (0, 2, 4, 6, 8)),
        (FrameMap("spread"), 5, 3, (0, 1, 2, 3, 4), (0, 0, 1, 1, 2)),
        (FrameMap("centre"), 3, 8, (0, 1, 2), (2, 3, 4)),
        (FrameMap("hold", start=4), 2, 9, (0, 1), (4, 4)),
        (FrameMap(skip=2), 4, 9, (2, 3), (0, 1)),
        (FrameMap(start=1), 2, None, (0, 1), (1, 2)),
    ],
)
def test_which_frame_is_which(frames, num_output, num_source, output, source):
    assert frames.align(num_output, num_source, "video") == (output, source)


@pytest.mark.parametrize("num_source", [20, 81, 82, 100, 243])
def test_neoverse_takes_numpys_whole_numbers(num_source):
    taken = VIDEO_LAYOUTS["neoverse"].frames.align(81, num_source, "video").source
    assert taken == tuple(np.linspace(0, num_source - 1, 81, dtype=int))


@pytest.mark.parametrize(
    ("frames", "num_output", "num_source", "fault"),
    [
        (FrameMap(), 5, 4, "got 5 frames, which go up to frame 4, want under 4"),
        (FrameMap(skip=5), 5, 9, "got 5 frames, want more than the 5 leading ones"),
        (FrameMap("spread"), 5, None, "got no source, want it"),
        (FrameMap(start=9, padded=True), 5, 9, "got a start of 9, want it under 9"),
    ],
)
def test_frames_that_the_source_does_not_have(frames, num_output, num_source, fault):
    with pytest.raises(InputError, match=fault):
        frames.align(num_output, num_source, "video")


@pytest.mark.parametrize(
    ("num_source", "redirector", "flashrender"),
    [(82, 81, 81), (81, 81, 81), (80, 77, 77), (40, 37, 37), (101, 101, 81)],
)
def test_redirectors_rule(num_source, redirector, flashrender):
    """The numbers of ``baselines.md`` 1.6, and of its program: n % 4 != 0 -> 4 floor(n / 4) + 1, else n - 3."""
    assert VIDEO_LAYOUTS["redirector"].count.expected(num_source) == redirector
    assert VIDEO_LAYOUTS["flashrender"].count.expected(num_source) == flashrender


def test_short_videos():
    assert FrameCount(exact=49).shortfall(48, None) == "got 48 frames, want 49"
    assert FrameCount(step=120).shortfall(81, None) == "got 81 frames, want one more than a multiple of 120"
    assert FrameCount(step=120).shortfall(241, 81) == ""
    assert FrameCount().shortfall(1, 81) == ""


@pytest.mark.parametrize(
    ("name", "crop_xyxy"),
    [
        ("gen3c", (0.0, 8 * 480 / 720, 854.0, 712 * 480 / 720)),
        ("trajectorycrafter", (0.0, 0.0, 854.0, 480.0)),
        ("redirector", (11.0, 0.0, 843.0, 480.0)),
        ("neoverse", (18 * 854 / 597, 0.0, 578 * 854 / 597, 480.0)),
        ("vista4d", (7.0, 0.0, 847.0, 480.0)),
    ],
)
def test_what_is_kept_of_a_davis_picture(name, crop_xyxy):
    """Of 854x480, worked out by hand from ``baselines.md`` 2.3 and the programs' code."""
    layout = VIDEO_LAYOUTS[name]
    framing = layout.crop.framing((480, 854), layout.sizes[0])
    assert framing.crop_xyxy == pytest.approx(crop_xyxy, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in EIGHT if VIDEO_LAYOUTS[name].sizes])
@pytest.mark.parametrize("source", [(480, 854), (1080, 1920), (720, 540), (300, 1000)])
def test_intrinsics_follow_the_picture(name, source):
    """A bright point is where the intrinsics say that it is, whatever the source's shape."""
    layout = VIDEO_LAYOUTS[name]
    framing = layout.crop.framing(source, layout.sizes[0])
    corner = torch.tensor([framing.crop_xyxy[0], framing.crop_xyxy[1]])
    moved, _ = framing.points(corner)
    torch.testing.assert_close(moved, torch.zeros(2), atol=1e-3, rtol=0)
    lens = torch.tensor([[100.0, 0.0, float(corner[0])], [0.0, 100.0, float(corner[1])], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(framing.intrinsics(lens)[:2, 2], torch.zeros(2), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("layout", "path", "said"),
    [
        ("plain", "dog_cam01.mp4", ("dog", "cam01", "")),
        ("plain", "a_cam1_cam02_s4.mkv", ("a_cam1", "cam02", "4")),
        ("recammaster", "results/cam_type10/video3.mp4", ("", "cam10", "")),
        ("redirector", "car-turn_camera_7_speed_0.5.mp4", ("car-turn", "cam07", "")),
        ("flashrender", "dog/epoch10_4NFE_cam1.mp4", ("dog", "cam01", "")),
        ("trajectorycrafter", "experiments/20250801_1203_dog/gen.mp4", ("dog", "", "20250801_1203")),
        ("cognvs", "dog/outputs/eval_render2_out.mp4", ("dog", "cam02", "")),
        ("vista4d", "results/eval/vista4d_720p/dog_pan/video_seed=3.mp4", ("", "", "3")),
        ("gen3c", "outputs/output.mp4", ("output", "", "")),
        ("predict", "dog/arc_left-s2/generated.mp4", ("dog", "arc_left", "2")),
    ],
)
def test_what_a_name_says(layout, path, said):
    name = read_name(VIDEO_LAYOUTS[layout].patterns, path)
    assert name is not None
    assert (name.clip, name.camera, name.seed) == said


@pytest.mark.parametrize(
    ("layout", "path"),
    [
        ("plain", "ours/dog_cam01.mp4"),
        ("plain", "dog_cam01.txt"),
        ("flashrender", "ours/dog_cam01.mp4"),
        ("recammaster", "cam_type1/extra/video0.mp4"),
        ("trajectorycrafter", "experiments/20250801_1203_dog/viz.mp4"),
    ],
)
def test_what_is_no_name(layout, path):
    assert read_name(VIDEO_LAYOUTS[layout].patterns, path) is None


def test_speeds_rows_and_variants():
    assert read_name(("{clip}_speed_{speed}",), "dog_speed_0.5.mp4").strength == 0.5
    assert read_name(VIDEO_LAYOUTS["recammaster"].patterns, "cam_type1/video12.mp4").row == "12"
    assert read_name(VIDEO_LAYOUTS["flashrender"].patterns, "a/onpolicy_epoch2_4NFE_cam1.mp4").variant == (
        "onpolicy_epoch2_4NFE"
    )
    assert set(PLACEHOLDERS) >= {"clip", "camera", "seed"}


@pytest.mark.parametrize("pattern", ["{clip", "{what}", "{clip}_{clip}", "[{clip}", "clip]"])
def test_a_pattern_that_cannot_be_read_is_refused(pattern):
    with pytest.raises(InputError, match="pattern: got"):
        check_pattern(pattern)


def test_sides_pasted_beside_a_video():
    layout = VIDEO_LAYOUTS["gen3c"]
    assert layout.expected_size((704, 1280)) == layout.expected_size((704, 3 * 1280)) == (704, 1280)
    assert layout.expected_size((704, 1300)) is None
    assert VIDEO_LAYOUTS["redirector"].expected_size((480, 2 * 832)) is None
    assert VIDEO_LAYOUTS["plain"].expected_size((10, 20)) == (10, 20)


@pytest.mark.parametrize("crop", [{"way": "bend"}, {"way": "squeeze_cut"}, {"way": "cover", "through": (4, 4)}])
def test_a_crop_that_is_none(crop):
    with pytest.raises(InputError, match=r"crop\."):
        CropRule(**crop)
