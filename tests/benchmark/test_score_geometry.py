"""``--geometry``: one reconstruction of source and output together, of twice the output's frames."""

import numpy as np
import pytest
import torch

from mvt4g.benchmark.score import main
from mvt4g.benchmark.score_files import VideoRow, read_video_rows
from mvt4g.formats.npz import write_arrays
from mvt4g.formats.video import write_video

FRAMES, HEIGHT, WIDTH = 3, 24, 32
SHIFT = 4
"""Columns by which the output shows the source moved: the camera went to the right, before a wall at depth 2."""
FOCAL, DEPTH = 16.0, 2.0
METRIC = "warp_rgb5"


def wall(first: int) -> torch.Tensor:
    """Return views of a wall with a pattern that changes with time, from a column on."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(FRAMES, 3, 8, 12, generator=generator)
    whole = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH + SHIFT), mode="bilinear")
    return whole[..., first : first + WIDTH]


def reconstruction(num_frames: int, swapped: bool = False) -> dict[str, np.ndarray]:
    """Return what MegaSaM would leave: first the source's frames, which stand still, then the output's."""
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    of_output = slice(0, FRAMES) if swapped else slice(FRAMES, None)
    poses[of_output, 0, 3] = SHIFT * DEPTH / FOCAL
    lens = np.array([[FOCAL, 0.0, WIDTH / 2], [0.0, FOCAL, HEIGHT / 2], [0.0, 0.0, 1.0]])
    depths = np.full((num_frames, HEIGHT, WIDTH), DEPTH, np.float32)
    return {"cam_c2w": poses, "intrinsic": lens, "depths": depths}


def scored(tmp_path, arrays: dict[str, np.ndarray]) -> dict[str, VideoRow]:
    """Score the one video with a reconstruction, and return its rows by metric, "" for its own."""
    write_video(tmp_path / "sources" / "dog.mp4", wall(0), 24, crf=1)
    write_video(tmp_path / "videos" / "ours" / "dog_cam05.mp4", wall(SHIFT), 24, crf=1)
    write_arrays(tmp_path / "dog_cam05.npz", arrays)
    files = ["--geometry", f"megasam:{tmp_path}/{{name}}.npz", "--sources", str(tmp_path / "sources")]
    assert main([str(tmp_path / "videos"), "--out", str(tmp_path / "out"), *files]) == 0
    return {row.metric: row for row in read_video_rows(tmp_path / "out")}


def test_the_source_comes_first_then_the_output(tmp_path, capsys):
    """Right geometry brings like onto like; with source and output swapped the shift is doubled."""
    right = scored(tmp_path, reconstruction(2 * FRAMES))[METRIC].value
    wrong = scored(tmp_path, reconstruction(2 * FRAMES, swapped=True))[METRIC].value
    assert right is not None
    assert wrong is not None
    assert right < 0.1
    assert wrong > 0.3


@pytest.mark.parametrize("count", [FRAMES, 2 * FRAMES + 1])
def test_another_number_of_frames_is_refused_in_one_line(count, tmp_path, capsys):
    rows = scored(tmp_path, reconstruction(count))
    assert (rows[METRIC].value, rows[METRIC].status) == (None, "no_value")
    assert f"dog_cam05.npz: cam_c2w: got {count} poses, want {2 * FRAMES}, one per frame" in rows[""].reason
    assert "\n" not in rows[""].reason
