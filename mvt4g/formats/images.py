"""Image files: folders of frames, and masks of object ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from PIL import Image, ImageOps
from torch import Tensor

from mvt4g.formats.frame_numbers import check_numbers, natural_key
from mvt4g.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
VOID = -1
"""Id of mask pixels that belong to nothing on purpose: 255 in palette masks."""
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def frame_paths(folder: Path) -> tuple[Path, ...]:
    """List the images of a folder in the order of the numbers in their names (2 before 10); hidden files are left out.

    Raises:
        InputError: If there is no such folder, no image in it, or two of one frame (1.png and 01.png).
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, want a folder of frames")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
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
        InputError: If ``paths`` is empty, a file is missing, broken or of more than 8 bits, or sizes differ.
    """
    if not paths:
        raise InputError("images: got an empty list of files, want at least one")
    frames: list[np.ndarray] = []
    for path in paths:
        pixels = np.asarray(_upright_rgb(path))
        if frames and pixels.shape != frames[0].shape:
            size, first = _size(pixels), _size(frames[0])
            raise InputError(f"{path}: got a frame of {size}, want {first} as {paths[0].name} before it")
        frames.append(pixels)
    return rearrange(torch.from_numpy(np.stack(frames)), "t h w c -> t c h w").float().div_(255)


def read_mask(path: Path) -> Int[Tensor, "h w"]:
    """Read the object id of every pixel: 0 background, 1.. objects, ``VOID`` where a palette mask says 255.

    A grey or black-and-white mask of nothing but 0 and 255 is one object; a grey one without 255 holds ids.

    Raises:
        InputError: If the file is missing, broken, or neither a palette mask nor one of these grey ones.
    """
    image = _loaded(path)
    if image.mode == "P":
        ids = np.asarray(image).astype(np.int64)
        return torch.from_numpy(np.where(ids == 255, VOID, ids))
    if image.mode in ("RGB", "RGBA"):
        channels = np.asarray(image.convert("RGB"))
        if (channels != channels[..., :1]).any():
            raise InputError(f"{path}: got a colour image (mode {image.mode}), want a palette (P) or grey (L) mask")
        values = channels[..., 0].astype(np.int64)
    elif image.mode in ("1", "L"):
        values = np.asarray(image.convert("L")).astype(np.int64)
    else:
        raise InputError(f"{path}: got an image of mode {image.mode}, want a palette (P) or grey (L) mask")
    present = set(np.unique(values).tolist())
    if 255 not in present:
        return torch.from_numpy(values)
    if present - {0, 255}:
        raise InputError(f"{path}: got grey values {sorted(present)[:8]}, want 0 and 255 alone, or ids without 255")
    return torch.from_numpy((values == 255).astype(np.int64))


def _upright_rgb(path: Path) -> Image.Image:
    image = _loaded(path)
    if image.mode not in _EIGHT_BIT_MODES:
        raise InputError(f"{path}: got pixels of mode {image.mode}, want 8 bits a channel")
    return ImageOps.exif_transpose(image).convert("RGB")


def _loaded(path: Path) -> Image.Image:
    if not path.is_file():
        raise InputError(f"{path}: no such file, want an image")
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({_first_line(error)}), want a whole one") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
