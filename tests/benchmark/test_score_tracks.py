"""``--tracks``: points through source and output, held against the cameras asked for."""

import math

import pytest
import torch

from mvt4g.benchmark.score import main
from mvt4g.benchmark.score_files import VideoRow, read_video_rows
from mvt4g.formats.track_files import TrackFile, write_tracks
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.types import Cameras, InputError
from tests.benchmark.test_score_geometry import DEPTH, FOCAL, FRAMES, HEIGHT, SHIFT, WIDTH, wall

SMALLER = 2
"""Tracks are told in pixels of a picture of half the size."""


def put(tmp_path, down: float = 0.0, frames: int = FRAMES, with_cameras: bool = True) -> list[str]:
    """Write source, output, tracks that are ``down`` rows beside their lines, and cameras; return the options."""
    write_video(tmp_path / "sources" / "dog.mp4", wall(0), 24, crf=1)
    write_video(tmp_path / "videos" / "ours" / "dog_cam05.mp4", wall(SHIFT), 24, crf=1)
    x, y = torch.meshgrid(torch.arange(8.0, WIDTH, 4.0), torch.arange(2.0, HEIGHT, 4.0), indexing="xy")
    points = torch.stack([x, y], dim=-1).flatten(0, 1)
    moved = points + torch.tensor([-float(SHIFT), down])
    tracks = torch.stack([points, moved])[:, None].expand(2, frames, -1, 2) / SMALLER
    visible = torch.ones(tracks.shape[:-1], dtype=torch.bool)
    queries = torch.cat([torch.zeros(len(points), 2), points / SMALLER], dim=1)
    content = TrackFile(tracks, visible, queries, (HEIGHT // SMALLER, WIDTH // SMALLER), torch.full(visible.shape, 0.9))
    place = tmp_path / "tracks" / "dog_cam05"
    place.mkdir(parents=True)
    write_tracks(place / "tracks.npz", content)
    if with_cameras:
        pose = torch.eye(4).repeat(2, FRAMES, 1, 1)
        pose[1, :, 0, 3] = -SHIFT * DEPTH / FOCAL
        lens = torch.tensor([[FOCAL, 0.0, WIDTH / 2], [0.0, FOCAL, HEIGHT / 2], [0.0, 0.0, 1.0]])
        write_trajectory(place / "cameras.json", Cameras(pose, lens.expand(2, FRAMES, 3, 3)), (HEIGHT, WIDTH))
    files = ["--tracks", f"{tmp_path}/tracks/{{name}}/tracks.npz", "--sources", str(tmp_path / "sources")]
    return [str(tmp_path / "videos"), "--out", str(tmp_path / "out"), *files]


def scored(tmp_path, **options) -> dict[str, VideoRow]:
    assert main(put(tmp_path, **options)) == 0
    return {row.metric: row for row in read_video_rows(tmp_path / "out")}


def test_tracks_on_their_lines_and_colours_where_they_belong(tmp_path, capsys):
    rows = scored(tmp_path)
    assert rows["geometry/epipolar_px"].value == pytest.approx(0.0, abs=1e-3)
    assert rows["geometry/confident"].value == 1.0
    assert rows["geometry/survival"].value == 1.0
    assert rows["epipolar_colour"].value < 0.05


def test_beside_them_is_told_in_pixels_of_512(tmp_path, capsys):
    """Rows are lines: two rows down, both ends move by one."""
    row = scored(tmp_path, down=2.0)["geometry/epipolar_px"]
    assert row.value == pytest.approx(2.0 / math.sqrt(2) * 512 / WIDTH, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frames": FRAMES + 1}, f"tracks through 2 views of {FRAMES + 1} frames, want 2 of {FRAMES}"),
        ({"with_cameras": False}, "tracks: got no cameras of both views with intrinsics, want those of the known clip"),
    ],
)
def test_what_does_not_fit_has_no_value_and_a_reason(options, told, tmp_path, capsys):
    rows = scored(tmp_path, **options)
    assert rows["geometry/epipolar_px"].value is None
    assert rows["geometry/epipolar_px"].status == "no_value"
    assert told in rows[""].reason


def test_options_that_do_not_go_together_are_refused(tmp_path):
    options = put(tmp_path)
    with pytest.raises(InputError, match="geometry, tracks: got both, want one of them"):
        main([*options, "--geometry", f"megasam:{tmp_path}/{{name}}.npz"])
    options[options.index("--tracks") + 1] = "tracks.npz"
    with pytest.raises(InputError, match=r"tracks: got 'tracks.npz', want a path that ends with"):
        main(options)
