"""TAP-Vid's and CoTracker's layouts: what their own programs would see, and our readers give the tracks back."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.exports.cotracker import write_cotracker
from mvt4g.formats.exports.tapvid import write_tapvid
from mvt4g.formats.readers.registry import open_source
from mvt4g.formats.track_files import TrackFile
from mvt4g.types import InputError

FRAMES, POINTS, HEIGHT, WIDTH = 4, 5, 24, 40


@pytest.fixture
def content() -> TrackFile:
    draw = torch.Generator().manual_seed(0)
    tracks = torch.rand(2, FRAMES, POINTS, 2, generator=draw) * torch.tensor([WIDTH, HEIGHT])
    visible = torch.rand(2, FRAMES, POINTS, generator=draw) > 0.3
    tracks[1, 2, 3], visible[1, 2, 3] = torch.tensor([-7.5, 50.0]), False  # hidden outside the picture
    queries = torch.cat([torch.zeros(POINTS, 2), tracks[0, 0]], dim=1)
    return TrackFile(tracks, visible, queries, (HEIGHT, WIDTH))


@pytest.fixture
def videos() -> dict[str, torch.Tensor]:
    levels = torch.randint(0, 256, (2, FRAMES, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(1))
    return {"walk_reference": levels[0] / 255, "walk_target": levels[1] / 255}


@pytest.mark.parametrize("format", ["tapvid", "cotracker_kubric"])
def test_our_reader_gives_videos_and_tracks_back(tmp_path: Path, content, videos, format):
    path = tmp_path / ("walk.pkl" if format == "tapvid" else "sequences")
    (write_tapvid if format == "tapvid" else write_cotracker)(path, videos, content)
    source = open_source(path)
    assert source.format == format
    assert len(source) == 2
    for view, (name, video) in enumerate(videos.items()):
        clip = source[next(i for i, found in enumerate(source.names) if found.endswith(name))]
        torch.testing.assert_close(clip.video[0], video, rtol=0, atol=1e-6)
        torch.testing.assert_close(clip.tracks[0], content.tracks[view], rtol=0, atol=1e-4)
        assert torch.equal(clip.visible[0], content.visible[view])


def test_tapvid_by_hand(tmp_path: Path, content, videos):
    write_tapvid(tmp_path / "walk.pkl", videos, content)
    entry = pickle.loads((tmp_path / "walk.pkl").read_bytes())["walk_target"]
    assert (entry["video"].dtype, entry["video"].shape) == (np.uint8, (FRAMES, HEIGHT, WIDTH, 3))
    assert entry["points"].shape == (POINTS, FRAMES, 2)
    np.testing.assert_allclose(entry["points"][3, 2], [-7.5 / WIDTH, 50 / HEIGHT], rtol=1e-6)
    assert bool(entry["occluded"][3, 2])
    assert int(entry["occluded"].sum()) == int((~content.visible[1]).sum())


def test_cotracker_by_hand(tmp_path: Path, content, videos):
    write_cotracker(tmp_path, videos, content)
    entry = np.load(tmp_path / "walk_reference" / "walk_reference.npy", allow_pickle=True).item()
    np.testing.assert_array_equal(entry["coords"][4, 1], content.tracks[0, 1, 4].numpy())
    assert bool(entry["visibility"][4, 1]) is not bool(content.visible[0, 1, 4]), "True = hidden there"
    assert len(list((tmp_path / "walk_reference" / "frames").iterdir())) == FRAMES


@pytest.mark.parametrize("write", [write_tapvid, write_cotracker])
def test_what_does_not_fit_is_named(tmp_path: Path, content, videos, write):
    with pytest.raises(InputError, match="got 1 videos to write, want 2"):
        write(tmp_path / "out.pkl", {"one": videos["walk_target"]}, content)
    with pytest.raises(
        InputError, match=r"walk_reference: got a video of shape \(4, 3, 24, 40\), want \(4, 3, 24, 20\)"
    ):
        write(tmp_path / "out.pkl", videos, replace(content, image_size=(HEIGHT, WIDTH // 2)))
    assert not list(tmp_path.iterdir())
