"""Image files as textures, by path."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt64
from numpy import ndarray
from PIL import Image

from mvt4g.formats.images import load_image
from mvt4g.synthetic.bitmaps import pack
from mvt4g.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@lru_cache(maxsize=8)
def list_photos(folder: str) -> tuple[str, ...]:
    """Return the image files in a folder and below it, by name; they are read only when drawn.

    Raises:
        InputError: If it is no folder, has none, or one is a link to somewhere outside.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: got no folder, want one of images")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder}: got no image, want {', '.join(SUFFIXES)} files")
    for path in files:
        if not path.resolve().is_relative_to(root.resolve()):
            raise InputError(f"{path}: got a link to outside {folder}, want all images inside")
    return tuple(map(str, files))


@lru_cache(maxsize=32)
def read_photo(path: str, texels: int) -> UInt64[ndarray, "s s"]:
    """Read the square in the middle of an image as a texture of this side.

    Raises:
        InputError: If the file is missing or no image that can be read.
    """
    image = load_image(Path(path))
    square = min(image.size)
    left = (image.width - square) // 2
    top = (image.height - square) // 2
    cut = image.convert("RGB").crop((left, top, left + square, top + square))
    return _packed(cut, texels)


def texture_bitmap(texture: UInt8[ndarray, "h w 3"], texels: int) -> UInt64[ndarray, "s s"]:
    """Return the whole of a mesh's own texture, stretched to a square."""
    return _packed(Image.fromarray(texture), texels)


def _packed(image: Image.Image, texels: int) -> UInt64[ndarray, "s s"]:
    # Every texel is the mean of the pixels it covers.
    small = image.resize((texels, texels), Image.Resampling.BOX)
    return pack(np.asarray(small, dtype=np.float32) / 255)
