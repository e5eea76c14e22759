"""Every reader takes frames in the order of their numbers, whatever zeros lead them, and refuses what misses one."""

import re
from pathlib import Path

import pytest
import torch

from mvt4g.formats.readers import cotracker_kubric, iphone, kubric_4d, kubric_worker, mvtap_kubric, mvtracker
from mvt4g.formats.readers import pseudo_tracks as pseudo
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.types import InputError
from tests.formats.layouts.cotracker import write_cotracker
from tests.formats.layouts.iphone import write_iphone
from tests.formats.layouts.kubric import write_kubric_4d, write_worker
from tests.formats.layouts.mvtap import write_mvtap
from tests.formats.layouts.mvtracker import write_mvtracker
from tests.formats.layouts.pseudo_tracks import write_pseudo_tracks
from tests.made_up_davis import make_davis

LAYOUTS = {
    "mvtap": (write_mvtap, mvtap_kubric, r"rgba_(\d+)\.png"),
    "kubric_worker": (write_worker, kubric_worker, r"(?:rgba|depth|segmentation)_(\d+)\.(?:png|tiff)"),
    "kubric_4d": (write_kubric_4d, kubric_4d, r"(?:rgba|depth|segmentation)_(\d+)\.(?:png|tiff)"),
    "mvtracker": (write_mvtracker, mvtracker, r"(?:rgba|depth|segmentation)_(\d+)\.(?:png|tiff)"),
    "cotracker": (write_cotracker, cotracker_kubric, r"(\d+)\.(?:png|jpg|npy)"),
    "iphone": (write_iphone, iphone, r"\d+_(\d+)\.(?:png|npy|json)"),
    "pseudo_tracks": (write_pseudo_tracks, pseudo, r"(\d+)\.png"),
}


def renumber(root: Path, pattern: str, new_number) -> int:
    """Rename the files of frames below a root; return how many were."""
    renamed = [(path, match) for path in root.rglob("*") if (match := re.fullmatch(pattern, path.name)) is not None]
    renamed = [(path, match) for path, match in renamed if path.is_file() and path.stem != path.parent.name]
    for path, match in renamed:
        start, end = match.span(1)
        path.rename(path.with_name(f"{path.name[:start]}{new_number(int(match[1]))}{path.name[end:]}"))
    return len(renamed)


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path: Path, clip):
    """Return a folder of clips in a layout, its reader, and the pattern of its frames' names."""
    write, reader, pattern = LAYOUTS[request.param]
    place = tmp_path / ("data" if request.param == "mvtap" else "data/0000")
    write(place, clip)
    return request.param, tmp_path / "data", reader, pattern


def test_frames_without_leading_zeros_come_by_their_numbers(layout) -> None:
    """Numbers 8, 9, 10: as text, 10 would come first."""
    name, root, reader, pattern = layout
    (before,) = (reader.read(one) for one in reader.list_clips(root))
    assert renumber(root, pattern, lambda number: number + 8) >= 3
    if name == "cotracker":
        assert sorted(path.name for path in (root / "0000/frames").iterdir())[0].startswith("10.")
    (after,) = (reader.read(one) for one in reader.list_clips(root))
    assert torch.equal(after.video, before.video)
    assert not torch.equal(after.video[:, 0], after.video[:, 2]), "frames differ, so that their order shows"
    for field in ("tracks", "visible", "depth", "instances", "dynamic", "covisible"):
        was, now = getattr(before, field), getattr(after, field)
        assert (was is None) == (now is None)
        if was is not None:
            torch.testing.assert_close(now, was, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(after.cameras.cam_from_world, before.cameras.cam_from_world, rtol=0, atol=0)


def test_a_missing_number_is_refused_where_there_is_truth(layout) -> None:
    """Only iPhone scenes miss frames by nature: there the times that all cameras have are taken."""
    name, root, reader, pattern = layout
    assert renumber(root, pattern, lambda number: number if number < 2 else 7)
    for path in root.rglob("*"):
        match = re.fullmatch(pattern, path.name)
        if path.is_file() and match is not None and match[1] == "7" and name in ("cotracker", "pseudo_tracks"):
            path.unlink()  # these have no frame number in their truth, but as many frames
    (one,) = reader.list_clips(root)
    if name == "iphone":
        assert reader.count(one)[1] == 3
        return
    with pytest.raises(InputError, match=r"want number|files, want|want \(|one a frame|want shape|axes"):
        reader.read(one)


def test_masks_of_davis_belong_to_the_frame_of_their_number(tmp_path: Path) -> None:
    root = make_davis(tmp_path / "DAVIS", {"bear": (12, 16, 16)})
    (before,) = list_sequences(root, ["bear"])
    assert renumber(root / "Annotations", r"(\d+)\.png", str) == 12
    assert renumber(root / "JPEGImages", r"(\d+)\.jpg", lambda number: f"{number:03d}") == 12
    (after,) = list_sequences(root, ["bear"])
    assert [path and int(path.stem) for path in after.masks] == list(range(12))
    assert [int(path.stem) for path in after.frames] == [int(path.stem) for path in before.frames] == list(range(12))
