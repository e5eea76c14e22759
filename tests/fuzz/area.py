"""A kind of input, and files of it that are whole."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvt4g.types import Cameras, InputError
from tests.fuzz.harness import Case
from tests.fuzz.mutations import mutate_tree

Make = Callable[[random.Random, Path, Path, bool], Case]


@dataclass(frozen=True)
class Area:
    """One kind of input.

    Attributes:
        name: In the table.
        cases: Of the long run.
        prepare: Writes what its cases start from, once.
        make: Makes a case in an empty folder from what ``prepare`` wrote; a case that is to be valid is left as it is.
    """

    name: str
    cases: int
    prepare: Callable[[Path], Any]
    make: Make


def files(
    name: str,
    cases: int,
    prepare: Callable[[Path], Any],
    read: Callable[[Path], Any],
    patterns: tuple[str, ...] = ("*",),
    special: Callable[[random.Random, Path], str | None] = lambda draw, data: None,
) -> Area:
    """Return an area whose cases are copies of files, one of which is broken.

    Args:
        name: In the table.
        cases: Of the long run.
        prepare: Writes the files into a folder.
        read: Reads them all.
        patterns: Files that are broken.
        special: Breaks the files in a way of this area's own, or returns None.
    """

    def make(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
        data = folder / "data"
        shutil.copytree(base, data, symlinks=True)
        if valid:
            return Case("", lambda: read(data))
        told = special(draw, data) if draw.random() < 0.3 else None
        return Case(told or mutate_tree(draw, data, patterns), lambda: read(data))

    return Area(name, cases, prepare, make)


def moving_video(seed: int, frames: int = 5, height: int = 32, width: int = 48) -> torch.Tensor:
    low = torch.rand(frames, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(low, (height, width), mode="bilinear", align_corners=False)


def two_cameras(frames: int = 5) -> Cameras:
    pose = torch.eye(4).repeat(2, frames, 1, 1)
    pose[1, :, 0, 3] = torch.arange(frames).float()
    intrinsics = torch.tensor([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]]).repeat(2, frames, 1, 1)
    return Cameras(pose, intrinsics)


def raised(item: Any) -> Any:
    if isinstance(item, InputError):
        raise item
    return item


def write_queries(folder: Path) -> None:
    (folder / "q.csv").write_text("view,frame,x,y\n0,0,21.5,2.5\n1,2,23.5,4.25\n0,4,30.0,30.0\n")
    (folder / "q.json").write_text('{"queries": [[0, 0, 21.5, 2.5], [1, 2, 23.5, 4.25]]}')
    np.savez(folder / "q.npz", queries=np.array([[0, 1.5, 2.5], [4, 3.5, 4.5]]))
