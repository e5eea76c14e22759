"""COLMAP models: ``images.bin`` and ``cameras.bin``, or the same as ``.txt``. Needs no COLMAP.

Pixel centres lie at i + 0.5, as here.

Source: https://colmap.github.io/format.html; colmap/colmap (BSD-3), ``scripts/python/read_write_model.py``.
"""

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.foreign.reconstruction import Reconstruction, pinhole_matrices, reconstruction_of, with_fov_note
from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.parsing.files import read_bytes
from mvt4g.formats.parsing.limits import file_limits
from mvt4g.formats.parsing.rows import Line, finite_number, read_lines, whole_number
from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_quaternion
from mvt4g.types import InputError

NUM_PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2)
"""Of COLMAP 4.2's camera models by their number."""
PINHOLES = {0: "SIMPLE_PINHOLE", 1: "PINHOLE"}
"""f, cx, cy and fx, fy, cx, cy; all other models bend rays, so that no K describes them."""
_PARAMETERS_OF = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4}
"""Of the models that a K is made of; others are told from them by name alone."""
_POINT_WORD = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)

UNIT_TOLERANCE = 1e-2
"""Deviation of a quaternion's length from 1, which the reader removes."""


@dataclass(frozen=True)
class _Camera:
    model: str
    size: tuple[int, int]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class _Image:
    name: str
    camera: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]


def read_colmap_poses(
    folder: Path, frame_names: Sequence[str] | None = None, num_frames: int | None = None
) -> Reconstruction:
    """Read the cameras of a sparse model, one frame of a video per image.

    Args:
        folder: Holds images and cameras, e.g. ``sparse/0``; binary is preferred where both are there.
        frame_names: File names of the video's frames in order, without folders; images of other names are left out,
            and frames without an image are not registered. None = the model's images by name, all registered.
        num_frames: Number of frames there must be; None = any.

    Raises:
        InputError: Naming file and field, if one is missing, damaged or no rotation; if images differ by their folder
            alone; if no image has a name of ``frame_names``; or if, without these, the number of images is not
            ``num_frames``: then it is not known which frames are missing.
    """
    suffix = ".bin" if (folder / "images.bin").is_file() else ".txt"
    path = folder / f"images{suffix}"
    listed = _read(path, _images_binary, _images_text)
    images = {Path(image.name).name: image for image in listed}
    if len(images) < len(listed):
        want = "those of a single video"
        raise InputError(f"{path}: got {len(listed)} images of {len(images)} names, want {want}")
    cameras = dict(_read(folder / f"cameras{suffix}", _cameras_binary, _cameras_text))
    if frame_names is None:
        frame_names = sorted(images, key=natural_key)
        if num_frames is not None and len(images) != num_frames:
            want = "frame_names to tell which"
            raise InputError(f"{path}: got {len(images)} images for {num_frames} frames, want {want}")
    elif num_frames is not None and len(frame_names) != num_frames:
        want = f"{num_frames}, one per frame"
        raise InputError(f"frame_names: got {len(frame_names)} names, want {want}")
    found = [images.get(name) for name in frame_names]
    if not any(found):
        want = f"names such as {list(frame_names[:3])}"
        raise InputError(f"{path}: got images {sorted(images)[:3]}, want {want}")
    return _assemble(path, found, cameras)


def _assemble(path: Path, found: Sequence[_Image | None], cameras: dict[int, _Camera]) -> Reconstruction:
    poses = torch.full((len(found), 4, 4), torch.nan, dtype=torch.float64)
    taken_by: list[_Camera | None] = [None] * len(found)
    for frame, image in enumerate(found):
        if image is None:
            continue
        if image.camera not in cameras:
            want = f"one of {sorted(cameras)}"
            raise InputError(f"{path}: {image.name}: got camera {image.camera}, want {want}")
        taken_by[frame] = cameras[image.camera]
        quaternion = torch.tensor(image.quaternion, dtype=torch.float64)
        if abs(float(quaternion.norm()) - 1) > UNIT_TOLERANCE:
            raise InputError(f"{path}: {image.name}: got quaternion {image.quaternion}, want length 1")
        translation = torch.tensor(image.translation, dtype=torch.float64)
        poses[frame] = invert_pose(pose_from(rotation_from_quaternion(quaternion), translation))
    cameras_path = path.with_stem("cameras")
    intrinsics = _intrinsics(cameras_path, taken_by)
    read = reconstruction_of(f"{path}: poses", poses, intrinsics, str(cameras_path))
    sizes = {camera.size for camera in taken_by if camera}
    return with_fov_note(replace(read, image_size=sizes.pop() if len(sizes) == 1 else None), str(path))


def _intrinsics(path: Path, cameras: Sequence[_Camera | None]) -> Float[Tensor, "t 3 3"] | None:
    """Return K of every frame, or None where a camera is no pinhole."""
    rows = []
    for camera in cameras:
        # A frame without a pose has a K that nobody reads.
        lens: Sequence[float] = (1.0, 0.0, 0.0)
        if camera is not None:
            lens = camera.parameters
            if camera.model not in PINHOLES.values():
                return None
        if len(lens) not in (3, 4):
            raise InputError(f"{path}: got parameters {lens}, want f, cx, cy or fx, fy, cx, cy")
        # A lens of f, cx, cy has one focal length for both axes.
        rows.append((lens[0], *lens[-3:]))
    return pinhole_matrices(str(path), torch.tensor(rows, dtype=torch.float64))


def _read(path: Path, binary: Callable[[bytes], list[Any]], text: Callable[[Sequence[Line]], list[Any]]) -> list[Any]:
    want = "a COLMAP model (images and cameras, .bin or .txt)"
    if path.suffix != ".bin":
        return text(read_lines(path, want))
    content = read_bytes(path, want, file_limits().json_bytes)
    try:
        return binary(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (struct.error, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read ({error}), want a whole COLMAP file") from error


def _images_binary(content: bytes) -> list[_Image]:
    (count,) = struct.unpack_from("<Q", content)
    images = []
    place = 8
    for _ in range(count):
        _, *pose, camera = struct.unpack_from("<i7di", content, place)
        end = content.index(b"\0", place + 64)
        name = content[place + 64 : end].decode()
        (num_points,) = struct.unpack_from("<Q", content, end + 1)
        place = end + 9 + 24 * num_points
        if place > len(content):
            raise InputError(f"{name}: got {len(content)} bytes, want at least {place}")
        images.append(_Image(name, camera, tuple(pose[:4]), tuple(pose[4:])))
    _check_end(content, place)
    return images


def _check_end(content: bytes, place: int) -> None:
    if place != len(content):
        raise InputError(f"got {len(content) - place} bytes after the last entry that it counts, want none")


def _cameras_binary(content: bytes) -> list[tuple[int, _Camera]]:
    (count,) = struct.unpack_from("<Q", content)
    cameras = []
    place = 8
    for _ in range(count):
        number, model, width, height = struct.unpack_from("<iiQQ", content, place)
        if not 0 <= model < len(NUM_PARAMETERS):
            want = f"one of 0 to {len(NUM_PARAMETERS) - 1}"
            raise InputError(f"camera {number}: got model {model}, want {want}")
        parameters = struct.unpack_from(f"<{NUM_PARAMETERS[model]}d", content, place + 24)
        cameras.append((number, _Camera(PINHOLES.get(model, "bent"), (height, width), parameters)))
        place += 24 + 8 * NUM_PARAMETERS[model]
    _check_end(content, place)
    return cameras


def _images_text(lines: Sequence[Line]) -> list[_Image]:
    """Read two lines an image, the second (its points, which may be empty) checked but not kept.

    An editor that takes out empty lines would make every other image pass for the points of the one before: the second
    line must be empty or points, and a count in COLMAP's own head must be right.
    """
    content = [line for line in lines if not line.text.startswith("#")]
    images: list[_Image] = []
    place = 0
    while place < len(content):
        line = content[place]
        if not line.text.strip():
            # Between images, an empty line means nothing.
            place += 1
            continue
        images.append(_image_of(line))
        if place + 1 < len(content) and not _is_points(content[place + 1].text):
            after = content[place + 1]
            raise InputError(
                f"{after.where}: got {after.text[:60]!r}, want the points of the image above it (X Y POINT3D_ID) or "
                "an empty line"
            )
        place += 2
    _check_count(lines, "images", len(images))
    return images


def _image_of(line: Line) -> _Image:
    words = line.text.split(maxsplit=9)
    if len(words) < 10:
        want = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
        raise InputError(f"{line.where}: got {line.text[:60]!r}, want {want}")
    whole_number(words[0], f"{line.where}: IMAGE_ID")
    names = ("QW", "QX", "QY", "QZ", "TX", "TY", "TZ")
    pose = []
    for name, word in zip(names, words[1:8], strict=True):
        # NaN stands for an image that got no pose.
        is_nan = word.lower() in ("nan", "-nan")
        pose.append(math.nan if is_nan else finite_number(word, f"{line.where}: {name}"))
    camera = whole_number(words[8], f"{line.where}: CAMERA_ID")
    return _Image(words[9].strip(), camera, tuple(pose[:4]), tuple(pose[4:]))


def _is_points(text: str) -> bool:
    words = text.split()
    return len(words) % 3 == 0 and all(map(_POINT_WORD.fullmatch, words))


def _check_count(lines: Sequence[Line], noun: str, found: int) -> None:
    """Hold what was read against the count that COLMAP writes above: "# Number of images: 12, mean ..."."""
    for line in lines:
        told = re.match(rf"#\s*Number of {noun}:\s*(\d+)", line.text)
        if told is not None and int(told[1]) != found:
            want = f"{told[1]} as it says"
            raise InputError(f"{line.where}: got {found} {noun} below it, want {want}")


def _cameras_text(lines: Sequence[Line]) -> list[tuple[int, _Camera]]:
    cameras: dict[int, _Camera] = {}
    for line in lines:
        words = line.text.split()
        if not words or line.text.startswith("#"):
            continue
        if len(words) < 4:
            raise InputError(f"{line.where}: got {line.text[:60]!r}, want CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]")
        number = whole_number(words[0], f"{line.where}: CAMERA_ID")
        width = whole_number(words[2], f"{line.where}: WIDTH")
        height = whole_number(words[3], f"{line.where}: HEIGHT")
        parameters = tuple(finite_number(word, f"{line.where}: PARAMS") for word in words[4:])
        want = _PARAMETERS_OF.get(words[1], len(parameters))
        if len(parameters) != want:
            raise InputError(f"{line.where}: got {len(parameters)} parameters, want {want} of a {words[1]}")
        if number in cameras:
            raise InputError(f"{line.where}: got camera {number} again, want each once")
        cameras[number] = _Camera(words[1], (height, width), parameters)
    _check_count(lines, "cameras", len(cameras))
    return list(cameras.items())
