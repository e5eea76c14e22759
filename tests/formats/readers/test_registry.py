"""Every format is told by its layout, opened without reading, and broken in no way that is not named."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.clip_cache import write_clip
from mvt4g.formats.clip_folder import write_clip_folder
from mvt4g.formats.readers import kubric_view, multicamvideo
from mvt4g.formats.readers.registry import FORMATS, detect, open_source
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.cotracker import write_cotracker
from tests.formats.layouts.iphone import write_iphone
from tests.formats.layouts.kubric import write_kubric_4d, write_worker
from tests.formats.layouts.multicamvideo import write_multicamvideo
from tests.formats.layouts.mvtap import write_mvtap
from tests.formats.layouts.mvtracker import write_mvtracker
from tests.formats.layouts.pseudo_tracks import write_pseudo_tracks
from tests.formats.layouts.tapvid import tapvid_clip


def _tapvid(folder: Path, clip) -> None:
    folder.mkdir(parents=True)
    (folder / "tapvid_davis.pkl").write_bytes(pickle.dumps({"dog": tapvid_clip(clip), "goat": tapvid_clip(clip, 1)}))


WRITERS: dict[str, tuple[Callable, list[str]]] = {
    "clip_folder": (
        lambda root, clip: [write_clip_folder(root / "train" / name, clip) for name in ("c10", "c2")],
        ["train/c2", "train/c10"],
    ),
    "pseudo_tracks": (lambda root, clip: write_pseudo_tracks(root / "walks/3", clip), ["walks/3"]),
    "mvtracker": (
        lambda root, clip: [write_mvtracker(root / "train" / name, clip) for name in ("10", "2")],
        ["train/2", "train/10"],
    ),
    "kubric_4d": (lambda root, clip: write_kubric_4d(root / "scn00001", clip), ["scn00001/scn00001_p0"]),
    "mvtap_kubric": (lambda root, clip: write_mvtap(root / "chunk_0", clip), ["chunk_0/frames/seq_0"]),
    "cotracker_kubric": (lambda root, clip: write_cotracker(root / "0001", clip), ["0001"]),
    "multicamvideo": (
        lambda root, clip: write_multicamvideo(root / "train/10basic/scene1", clip),
        ["train/10basic/scene1"],
    ),
    "iphone": (lambda root, clip: write_iphone(root / "apple", clip), ["apple"]),
    "kubric_worker": (lambda root, clip: write_worker(root / "movi/5", clip), ["movi/5"]),
    "tapvid": (_tapvid, ["tapvid_davis.pkl/dog", "tapvid_davis.pkl/goat"]),
    "clip_cache": (
        lambda root, clip: [write_clip(root / "test" / name, clip) for name in ("10.npz", "9.npz")],
        ["test/9.npz", "test/10.npz"],
    ),
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory, clip) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) / "data" for name in WRITERS}
    for name, (write, _) in WRITERS.items():
        write(folders[name], clip)
    return folders


def test_every_format_is_written_by_these_tests() -> None:
    assert sorted(WRITERS) == sorted(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_from_all_others(roots, clip, name: str) -> None:
    assert detect(roots[name]) == name
    source = open_source(roots[name])
    assert source.format == name
    assert list(source.names) == WRITERS[name][1]
    assert len(source) == len(source.names)
    found = source[0]
    assert found.name == source.names[0]
    assert found.video.shape[-2:] == clip.video.shape[-2:]
    assert source.count(0) == tuple(found.video.shape[:2])
    part = source.read(0, Selection(views=[0], frames=[0, 2]))
    assert torch.equal(part.video, found.video[:1, [0, 2]])
    assert torch.equal(part.cameras.intrinsics.nan_to_num(), found.cameras.intrinsics[:1, [0, 2]].nan_to_num())
    for field in ("tracks", "visible", "depth", "instances", "dynamic", "covisible"):
        assert (getattr(part, field) is None) == (getattr(found, field) is None)
        if getattr(part, field) is not None:
            assert torch.equal(getattr(part, field), getattr(found, field)[:1, [0, 2]])
    for bad in (Selection(views=[9]), Selection(frames=[3])):
        with pytest.raises(InputError, match=r"(views|frames): got"):
            source.read(0, bad)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("tapvid", "clip_cache")])
def test_a_clip_itself_is_a_source_of_one(roots, name: str) -> None:
    first = open_source(roots[name]).clips[0]
    path = first.parent if name == "kubric_4d" else getattr(first, "path", first)
    assert len(open_source(path)) == 1
    assert open_source(path).format == name


def test_listing_reads_no_frame(roots, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a frame was read")

    for module, function in ((kubric_view, "read_images"), (multicamvideo, "read_video")):
        monkeypatch.setattr(module, function, refuse)
    monkeypatch.setattr("PIL.Image.open", refuse)
    for name in FORMATS:
        source = open_source(roots[name])
        assert len(source)
        assert source.count(0)
    with pytest.raises(AssertionError, match="a frame was read"):
        open_source(roots["kubric_worker"]).read(0)


def test_names_pick_clips_and_leave_the_root_in_no_way(roots) -> None:
    root = roots["mvtracker"]
    assert open_source(root, names=["train/10"]).names == ("train/10",)
    for name in ("../data/train/10", str(root / "train/10"), "train/11", "train/../train/10"):
        with pytest.raises(InputError, match=r"data: names: got .*, want some of train/2, train/10"):
            open_source(root, names=[name])
    with pytest.raises(InputError, match=r"names: got \[\], want some of"):
        open_source(root, names=[])


def test_what_is_unknown_is_told_with_what_was_looked_for(tmp_path: Path, roots) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(InputError, match="got no clip of a known format there, want one of: clip_folder") as caught:
        detect(tmp_path)
    assert all(name in str(caught.value) for name in FORMATS)
    with pytest.raises(InputError, match="none: no such file or folder"):
        open_source(tmp_path / "none")
    with pytest.raises(InputError, match="format: got 'mp4', want one of clip_folder"):
        open_source(tmp_path, "mp4")
    for name in FORMATS:
        with pytest.raises(InputError, match="got no"):
            open_source(tmp_path, name)


def _damage(rng: np.random.Generator, path: Path) -> None:
    content = bytearray(path.read_bytes())
    kind = rng.integers(3)
    if kind == 0:
        content = content[: rng.integers(len(content))]
    elif kind == 1:
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(256)
    else:
        start = rng.integers(len(content))
        content[start : start + 16] = b""
    path.write_bytes(content)


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_named(roots, tmp_path: Path, name: str) -> None:
    """Never another exception: a file is cut, some bytes of it are changed, or some are lost."""
    rng = np.random.default_rng((0, list(FORMATS).index(name)))
    messages = []
    for turn in range(20):
        root = Path(shutil.copytree(roots[name], tmp_path / str(turn)))
        files = sorted(path for path in root.rglob("*") if path.is_file())
        few = {path.suffix: path for path in files}  # a kind of file is as likely as another, however many there are
        _damage(rng, list(few.values())[rng.integers(len(few))])
        try:
            source = open_source(root)
            for index in range(len(source)):
                source.read(index)
        except InputError as error:
            messages.append((root, str(error)))
        shutil.rmtree(root)
    assert len(messages) > 4
    assert all(str(root) in message and "\n" not in message for root, message in messages)
