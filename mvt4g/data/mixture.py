"""Several sources of clips in one run: whose turn it is, and what all clips of a batch have in common."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from mvt4g.types import InputError, MultiViewClip

BLOCK = 1000
"""Samples in which every source has exactly its share: weights count in thousandths of their sum."""
TURN_STREAM = 3
"""Third part of the random seeds that order the sources."""


class Turns:
    """Which source each training sample comes from: a function of the seed and the sample's number.

    In every block of samples each source has exactly its share, in random order, so that the number of a source's
    samples before any other is known without counting them: its clips can be gone through pass by pass.
    """

    def __init__(self, weights: Sequence[float | int], seed: int) -> None:
        """Share out a block.

        Args:
            weights: One a source, each over 0.
            seed: Of the order.

        Raises:
            InputError: If a weight is less than half a thousandth of the sum of all.
        """
        self.shares = _shares(tuple(map(float, weights)))
        self.seed = seed

    def __call__(self, sample: int) -> tuple[int, int]:
        """Return the source of a sample, and how many samples of that source come before it."""
        if len(self.shares) == 1:
            return 0, sample
        block, place = divmod(sample, BLOCK)
        order = _order(self.shares, self.seed, block)
        source = int(order[place])
        return source, block * self.shares[source] + int((order[:place] == source).sum())


def keep_common(clip: MultiViewClip) -> MultiViewClip:
    """Return a clip of a mixture with what every clip of it has, so that any of them make a batch.

    Video, cameras, name, points of a fixed number (see ``take_points``) and a caption, "" where there is none. What
    some sources know and others do not is left out, which no training loss looks at.
    """
    return replace(
        clip,
        points_world=None,
        point_instance=None,
        depth=None,
        instances=None,
        dynamic=None,
        covisible=None,
        caption=clip.caption or "",
        fps=None,
    )


def name_after(source: str, clip: MultiViewClip) -> MultiViewClip:
    """Return the clip under the name ``<source>/<its name>``; without a source's name, under its own."""
    return replace(clip, name=f"{source}/{clip.name}") if source else clip


def source_of(name: str) -> str:
    """Return the source in a clip's name; "" where it has none."""
    return name.partition("/")[0] if "/" in name else ""


def _shares(weights: tuple[float, ...]) -> tuple[int, ...]:
    """Share out a block: what rounding down leaves goes to the largest remainders."""
    # Whole numbers that add up to the block: those with the largest remainders get what is left over.
    exact = np.array(weights) / sum(weights) * BLOCK
    shares = np.floor(exact).astype(int)
    shares[np.argsort(shares - exact, kind="stable")[: BLOCK - shares.sum()]] += 1
    if not shares.all():
        least = weights[int(np.argmin(shares))]
        want = "at least a thousandth of the sum"
        raise InputError(f"sampling.sources.weight: got {least} of {sum(weights)}, want {want}")
    return tuple(map(int, shares))


@lru_cache(maxsize=2)
def _order(shares: tuple[int, ...], seed: int, block: int) -> Int[ndarray, " block"]:
    """Return the source of every sample of a block."""
    sources = np.repeat(np.arange(len(shares)), shares)
    return np.random.default_rng((seed, TURN_STREAM, block)).permutation(sources)
