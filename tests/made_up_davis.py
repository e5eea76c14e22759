"""A tiny DAVIS tree made up for tests: a bright square that walks right over a ramp."""

from pathlib import Path

import numpy as np
from PIL import Image

SQUARE = 8


def make_davis(root: Path, sequences: dict[str, tuple[int, int, int]], palette: bool = False) -> Path:
    """Write sequences {name: (frames, height, width)} with masks (DAVIS 2016's grey ones, or 2017's palettes)."""
    for name, (frames, height, width) in sequences.items():
        images, masks = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame in range(frames):
            pixels = np.repeat(np.linspace(0, 120, width, dtype=np.uint8)[None, :, None], height, axis=0)
            pixels, mask = np.repeat(pixels, 3, axis=2), np.zeros((height, width), np.uint8)
            top, left = height // 2 - SQUARE // 2, width // 2 - SQUARE // 2 + frame
            pixels[top : top + SQUARE, left : left + SQUARE] = 240
            mask[top : top + SQUARE, left : left + SQUARE] = 2 if palette else 255
            Image.fromarray(pixels).save(images / f"{frame:05d}.jpg", quality=95)
            if palette:
                write_palette(masks / f"{frame:05d}.png", mask)
            else:
                Image.fromarray(mask).save(masks / f"{frame:05d}.png")
    return root


def write_palette(path: Path, ids: np.ndarray) -> None:
    """Write a palette PNG of ids, coloured as DAVIS 2017 does."""
    image = Image.fromarray(ids.astype(np.uint8)).convert("L")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    image.save(path)
