"""ViPE 1.1: the folder that ``vipe infer`` writes.

    <root>/pose/<name>.npz        data (k 4 4) world_from_cam, inds (k) the frames that they belong to
           intrinsics/<name>.npz  data (k 4) fx fy cx cy, pixels of the video; inds (k)
           intrinsics/<name>_camera.txt   "0: PINHOLE" a line
           depth/<name>.zip       00000.exr ...: z-depth in metres, half floats, channel Z
           mask/<name>.zip        00000.png ...: ids, 0 = background
           mask/<name>.txt        "1: person" a line; the sky has an id too
           rgb/<name>.mp4

Frames without a pose are left out of the arrays: ``inds`` says whose a pose is, its position does not. Masks show what
was named as a mover, not what was measured to move. Half floats have 11 bits and end at 65504.

Source: nv-tlabs/vipe@157494a (Apache-2.0), ``vipe/utils/io.py``, read in public source code, not off files the program
wrote.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.foreign.exr import read_exr_channel
from mvt4g.formats.foreign.reconstruction import (
    Reconstruction,
    check_memory,
    numbers,
    pinhole_matrices,
    reconstruction_of,
    with_fov_note,
)
from mvt4g.formats.images import load_image
from mvt4g.formats.npz import read_arrays
from mvt4g.formats.parsing.array_headers import BROKEN
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.formats.parsing.rows import read_lines, whole_number
from mvt4g.types import InputError

PINHOLE = "PINHOLE"
SKY = "sky"
_MOST_FRAMES = 2**20
MASK_NOTE = "ViPE's masks show what it was told to take for movers (persons, cars and so on), not what moved"


def read_vipe(path: Path, num_frames: int | None = None, maps: bool = False) -> Reconstruction:
    """Read what ViPE left of a video.

    Args:
        path: ``<root>/pose/<name>.npz``; what else there is of this name is found from it.
        num_frames: Frames of the video; None = up to the last one with a pose.
        maps: Read depth and masks too.

    Raises:
        InputError: Naming file and array, line or frame, if one is missing, damaged, of another shape or beyond
            ``num_frames``, or a pose is no rotation.
    """
    root = path.parent.parent
    name = path.stem
    poses, frames = _indexed(path, (4, 4))
    count = int(frames.max()) + 1 if num_frames is None else num_frames
    if not 0 < count <= _MOST_FRAMES:
        want = f"at most {_MOST_FRAMES}"
        raise InputError(f"{path}: inds: got frames up to {count - 1}, want {want}")
    world_from_cam = _placed(f"{path}: inds", poses, frames, count)
    lenses = root / "intrinsics"
    intrinsics, notes = _read_lenses(lenses, name, count)
    found = reconstruction_of(f"{path}: data", world_from_cam, intrinsics, f"{lenses / path.name}: data")
    depth = _read_depth(root / "depth" / f"{name}.zip", count) if maps else None
    dynamic = _read_masks(root / "mask", name, count) if maps else None
    size = _map_size(root, name, depth, dynamic)
    # Without maps the video that ViPE keeps beside its poses tells of which pictures K is.
    video = root / "rgb" / f"{name}.mp4"
    if size is None and intrinsics is not None and video.exists():
        try:
            size = _video_size(video)
        except InputError as error:  # poses are none the worse for it
            notes = (*notes, f"the size of the video is not known: {error}")
    if dynamic is not None:
        notes = (*notes, MASK_NOTE)
    found = replace(found, image_size=size, depth=depth, dynamic=dynamic, scale="metres", notes=notes)
    return with_fov_note(found, str(path))


def _read_lenses(folder: Path, name: str, count: int) -> tuple[Float[Tensor, "t 3 3"] | None, tuple[str, ...]]:
    """Return K of every frame, NaN where there is none; None of cameras that bend rays, and a note that says so."""
    path = folder / f"{name}.npz"
    kinds = folder / f"{name}_camera.txt"
    if not path.exists():
        return None, ()
    if kinds.exists():
        for line in read_lines(kinds, "a frame's camera a line, as 0: PINHOLE"):
            kind = line.text.partition(":")[2].strip()
            if line.text.strip() and kind != PINHOLE:
                return None, (f"{line.where}: the camera is {kind:.40}, which no K describes",)
    lens, frames = _indexed(path, (4,))
    matrices = pinhole_matrices(f"{path}: data", torch.from_numpy(lens)).numpy()
    return _placed(f"{path}: inds", matrices, frames, count), ()


def _video_size(path: Path) -> tuple[int, int]:
    # PyAV is loaded only where a video is read.
    from mvt4g.formats.video import probe_video

    return probe_video(path).image_size


def _map_size(
    root: Path, name: str, depth: Float[Tensor, "_ _ _"] | None, dynamic: Bool[Tensor, "_ _ _"] | None
) -> tuple[int, int] | None:
    sizes = set()
    for maps in (depth, dynamic):
        if maps is not None:
            sizes.add((maps.shape[1], maps.shape[2]))
    if len(sizes) > 1:
        raise InputError(f"{root}: {name}: got depth and masks of sizes {sorted(sizes)}, want one size")
    return sizes.pop() if sizes else None


def _read_depth(path: Path, count: int) -> Float[Tensor, "t h w"] | None:
    """Read depth in metres; frames without a file have none."""

    def read(content: bytes, where: str) -> Float[ndarray, "h w"]:
        values = read_exr_channel(content, "Z", where)
        return np.where(np.isfinite(values) & (values > 0), values, np.float32(0))

    return _read_maps(path, ".exr", count, read, np.dtype(np.float32))


def _read_masks(folder: Path, name: str, count: int) -> Bool[Tensor, "t h w"] | None:
    """Return where a mover is; the sky is none."""
    sky = _sky_ids(folder / f"{name}.txt")

    def read(content: bytes, where: str) -> Bool[ndarray, "h w"]:
        image = load_image(content, where)
        if image.mode not in ("L", "P"):
            raise InputError(f"{where}: got an image of mode {image.mode}, want ids of 8 bits")
        ids = np.asarray(image)
        return (ids != 0) & ~np.isin(ids, sky)

    return _read_maps(folder / f"{name}.zip", ".png", count, read, np.dtype(bool))


def _sky_ids(path: Path) -> list[int]:
    ids = []
    for line in read_lines(path, "an id and its phrase a line, as 1: person") if path.exists() else []:
        if line.text.strip():
            number, _, phrase = line.text.partition(":")
            if phrase.strip().lower() == SKY:
                ids.append(whole_number(number, f"{line.where}: id"))
            else:
                whole_number(number, f"{line.where}: id")
    return ids


def _read_maps(
    path: Path, suffix: str, count: int, read: Callable[[bytes, str], Shaped[ndarray, "h w"]], dtype: np.dtype
) -> Shaped[Tensor, "t h w"] | None:
    """Read a map a frame out of a zip, by the numbers in their names; frames without one are 0."""
    if not path.exists():
        return None
    maps: ndarray | None = None
    with _opened(path) as archive:
        for number, info in sorted(_members(path, archive, suffix, count).items()):
            where = f"{path}: {info.filename}"
            values = read(archive.read(info), where)
            if maps is None:
                check_memory(str(path), count, values.shape, dtype.itemsize)
                maps = np.zeros((count, *values.shape), dtype)
            if values.shape != maps.shape[1:]:
                want = f"{list(maps.shape[1:])} as before it"
                raise InputError(f"{where}: got size {list(values.shape)}, want {want}")
            maps[number] = values
    if maps is None:
        raise InputError(f"{path}: got no {suffix} file, want one a frame, as 00000{suffix}")
    return torch.from_numpy(maps)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    check_regular(path, "a zip of maps")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    except BROKEN as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        want = "a whole zip of maps"
        raise InputError(f"{path}: cannot be read ({reason}), want {want}") from error


def _members(path: Path, archive: zipfile.ZipFile, suffix: str, count: int) -> dict[int, zipfile.ZipInfo]:
    """Return the file of every frame; what a file says it unpacks to is held against the limit."""
    members: dict[int, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        digits = re.fullmatch(rf"(\d{{1,9}}){re.escape(suffix)}", info.filename, re.ASCII)
        number = int(digits[1]) if digits else -1
        if not 0 <= number < count or number in members:
            want = f"frames 0 to {count - 1}, each once"
            raise InputError(f"{path}: got {info.filename!r:.60}, want {want}")
        if info.file_size > file_limits().memory:
            most = size_text(file_limits().memory)
            raise too_large(f"{path}: {info.filename}", size_text(info.file_size), most)
        members[number] = info
    return members


def _indexed(path: Path, shape: tuple[int, ...]) -> tuple[Float[ndarray, "k ..."], Int[ndarray, " k"]]:
    """Read ``data`` (k, *shape) and ``inds`` (k)."""
    arrays = read_arrays(path, ("data", "inds"))
    for name in ("data", "inds"):
        if name not in arrays:
            raise InputError(f"{path}: {name}: missing, got arrays {sorted(arrays)}")
    data = numbers(f"{path}: data", arrays["data"])
    frames = arrays["inds"]
    if data.shape[1:] != shape or not len(data):
        want = f"(k, {', '.join(map(str, shape))}), k >= 1"
        raise InputError(f"{path}: data: got shape {data.shape}, want {want}")
    if frames.shape != (len(data),) or not np.issubdtype(frames.dtype, np.integer):
        want = f"{len(data)} whole numbers"
        raise InputError(f"{path}: inds: got {frames.dtype} of shape {frames.shape}, want {want}")
    return data, frames


def _placed(
    what: str, values: Float[ndarray, "k i j"], frames: Int[ndarray, " k"], num_frames: int
) -> Float[Tensor, "t i j"]:
    """Put matrices at their frames, NaN elsewhere."""
    if len(np.unique(frames)) != len(frames) or frames.min() < 0 or frames.max() >= num_frames:
        want = f"each once, 0 to {num_frames - 1}"
        raise InputError(f"{what}: got frames {frames.min()} to {frames.max()}, want {want}")
    placed = np.full((num_frames, *values.shape[1:]), np.nan)
    placed[frames] = values
    return torch.from_numpy(placed)
