"""Image files: folders of frames, and masks of object ids."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, Shaped
from PIL import Image, ImageOps
from torch import Tensor

from mvt4g.formats.frame_numbers import check_numbers, natural_key
from mvt4g.formats.parsing.files import check_regular
from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
VOID = -1
"""Id of mask pixels that belong to nothing on purpose: 255 in palette masks."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""What a file may be, whatever its name says; for others Pillow runs programs (Ghostscript for EPS)."""
_BYTES_A_PIXEL = 12
"""Of three float32 channels."""
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def frame_paths(folder: Path) -> tuple[Path, ...]:
    """List the images of a folder in the order of the numbers in their names (2 before 10); hidden files are left out.

    Raises:
        InputError: If there is no such folder, no image in it, or two of one frame (1.png and 01.png).
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, want a folder of frames")
    paths = []
    for path in folder.iterdir():
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            paths.append(path)
    if not paths:
        raise InputError(f"{folder}: got no image, want frames ({', '.join(SUFFIXES)})")
    paths.sort(key=lambda path: natural_key(path.name))
    check_numbers([path.name for path in paths], str(folder))
    return tuple(paths)


def read_frames(folder: Path, max_frames: int | None = None) -> Float[Tensor, "t 3 h w"]:
    """Read a folder of frames, in [0, 1].

    Raises:
        InputError: As ``frame_paths`` and ``read_images``.
    """
    return read_images(frame_paths(folder)[:max_frames])


def read_images(paths: Sequence[Path]) -> Float[Tensor, "t 3 h w"]:
    """Read images of one size as RGB in [0, 1], turned upright as their EXIF says; transparency is dropped.

    Raises:
        InputError: If ``paths`` is empty, a file is missing, broken or of more than 8 bits, sizes differ, or all
            together would take more memory than one file may.
    """
    if not paths:
        raise InputError("images: got an empty list of files, want at least one")
    first = np.asarray(_upright_rgb(paths[0]))
    height, width, _ = first.shape
    limits = file_limits()
    total = len(paths) * height * width * _BYTES_A_PIXEL
    if total > limits.memory:
        got = f"{len(paths)} frames of {width}x{height}, {size_text(total)}"
        raise too_large(str(paths[0].parent), got, size_text(limits.memory))
    frames = torch.empty(len(paths), 3, height, width)
    for index, path in enumerate(paths):
        pixels = np.asarray(_upright_rgb(path)) if index else first
        if pixels.shape != first.shape:
            want = f"{_size(first)} as {paths[0].name} before it"
            raise InputError(f"{path}: got a frame of {_size(pixels)}, want {want}")
        frames[index] = rearrange(torch.from_numpy(pixels.copy()), "h w c -> c h w").float().div_(255)
    return frames


def read_mask(path: Path) -> Int[Tensor, "h w"]:
    """Read the object id of every pixel: 0 background, 1.. objects, ``VOID`` where a palette mask says 255.

    A grey or black-and-white mask of nothing but 0 and 255 is one object; a grey one without 255 holds ids.

    Raises:
        InputError: If the file is missing, broken, or neither a palette mask nor one of these grey ones.
    """
    image = load_image(path)
    if image.mode == "P":
        ids = np.asarray(image).astype(np.int64)
        return torch.from_numpy(np.where(ids == 255, VOID, ids))
    if image.mode in ("RGB", "RGBA"):
        channels = np.asarray(image.convert("RGB"))
        if (channels != channels[..., :1]).any():
            want = "a palette (P) or grey (L) mask"
            raise InputError(f"{path}: got a colour image (mode {image.mode}), want {want}")
        values = channels[..., 0].astype(np.int64)
    elif image.mode in ("1", "L"):
        values = np.asarray(image.convert("L")).astype(np.int64)
    else:
        want = "a palette (P) or grey (L) mask"
        raise InputError(f"{path}: got an image of mode {image.mode}, want {want}")
    present = set(np.unique(values).tolist())
    if 255 not in present:
        return torch.from_numpy(values)
    if present - {0, 255}:
        want = "0 and 255 alone, or ids without 255"
        raise InputError(f"{path}: got grey values {sorted(present)[:8]}, want {want}")
    return torch.from_numpy((values == 255).astype(np.int64))


def _upright_rgb(path: Path) -> Image.Image:
    image = load_image(path)
    if image.mode not in _EIGHT_BIT_MODES:
        raise InputError(f"{path}: got pixels of mode {image.mode}, want 8 bits a channel")
    try:
        return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # what Pillow stumbles over in a damaged EXIF is of a dozen kinds
        want = "whole EXIF or none"
        raise InputError(f"{path}: cannot be turned upright ({_first_line(error)}), want {want}") from error


def load_image(source: Path | bytes, where: str = "") -> Image.Image:
    """Decode a JPEG, PNG, WebP, BMP or TIFF, told by its content; its size is checked before its pixels are read.

    Args:
        source: The file, or its content.
        where: Of content: where it was found, for messages.

    Raises:
        InputError: If it is missing, broken, of another kind, or has more pixels than one image may.
    """
    if isinstance(source, Path):
        check_regular(source, "an image")
        where = str(source)
    most = file_limits().image_pixels
    try:
        with warnings.catch_warnings():
            # Pillow warns of a size that our limit may allow, and of odd metadata.
            warnings.simplefilter("ignore")
            pillows = Image.MAX_IMAGE_PIXELS
            # Ours stands in for Pillow's own limit.
            Image.MAX_IMAGE_PIXELS = None
            try:
                file = io.BytesIO(source) if isinstance(source, bytes) else source
                image = Image.open(file, formats=_FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = pillows
            with image:
                if image.width * image.height > most:
                    raise too_large(where, f"an image of {image.width}x{image.height}", f"{most:,} pixels")
                image.load()
                return image
    except InputError:
        raise
    except Exception as error:  # of a damaged file Pillow raises a dozen kinds
        raise InputError(f"{where}: cannot be read as an image ({_first_line(error)}), want a whole one") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _size(pixels: Shaped[np.ndarray, "h w ..."]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
