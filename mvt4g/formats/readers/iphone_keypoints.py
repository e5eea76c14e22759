"""Keypoints that DyCheck's authors marked in some pictures of an iPhone scene.

    <scene>/keypoint/{1x,2x}/<split>/<id>.json  [[x, y, seen], ...]; as many rows in all files of a split

Source: KAIR-BAIR/dycheck (Apache-2.0), ``dycheck/core/tasks/kp_transfer.py``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.parsing.json_files import read_json
from mvt4g.formats.readers.fields import array, finite
from mvt4g.formats.readers.iphone import size_folder
from mvt4g.types import InputError


@dataclass(frozen=True)
class Keypoints:
    """Marked points of one split of a scene.

    Attributes:
        ids: Pictures, such as "0_00012", in order.
        xy: Where each point is, in pixels of the picture.
        visible: True where it is seen; elsewhere ``xy`` says nothing.
    """

    ids: tuple[str, ...]
    xy: Float[Tensor, "k n 2"]
    visible: Bool[Tensor, "k n"]


def read_keypoints(scene: Path, split: str = "train") -> Keypoints:
    """Read all marked points of a split, of pictures of the size that ``iphone.read`` takes.

    Raises:
        InputError: If there are none, or a file is broken or of another number of points.
    """
    folder = scene / "keypoint" / size_folder(scene) / split
    paths = sorted(folder.glob("*_*.json"), key=lambda path: natural_key(path.stem))
    if not paths:
        raise InputError(f"{folder}: got no keypoints, want <id>.json")
    sizes: dict[str, int] = {}
    rows = [finite(str(path), array(str(path), read_json(path, "keypoints"), "n 3", sizes)) for path in paths]
    marked = torch.from_numpy(np.stack(rows))
    return Keypoints(tuple(path.stem for path in paths), marked[..., :2].float(), marked[..., 2] == 1)


def transfer_pairs(
    keypoints: Keypoints,
) -> tuple[list[tuple[int, int]], Float[Tensor, "p n 2"], Bool[Tensor, "p n"]]:
    """Return the pairs of pictures that points are carried between, as DyCheck's PCK-T takes them.

    All ordered pairs are taken, those of a picture with itself too, as DyCheck does: its share of 1 in ``len(ids)``
    is right by definition.

    Returns:
        Numbers of the pictures from which and to which points are carried, where they are in the second, and which of
        them are seen in both: what ``metrics.tracks.pck_t.PCKT`` takes as target and visible.
    """
    count = len(keypoints.ids)
    pairs = [(first, second) for first in range(count) for second in range(count)]
    firsts, seconds = torch.tensor(pairs).unbind(dim=1)
    return pairs, keypoints.xy[seconds], keypoints.visible[firsts] & keypoints.visible[seconds]
