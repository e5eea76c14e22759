"""How much a video flickers, how smoothly it moves, and whether it moves at all: VBench's formulas without its bugs."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FLOW_SHARE = 0.05
"""Share of the pixels, the fastest ones, whose mean is the motion of a pair of frames."""
FLOW_THRESHOLD = 6.0
"""Pixels of motion, in a video whose shorter side is ``FLOW_THRESHOLD_SIDE``, above which a pair moves."""
FLOW_THRESHOLD_SIDE = 256
SAMPLED_FPS = 8
MIN_SAMPLED_FRAMES = 3
"""With fewer, the quarter of the frames that must move rounds to none: such a video is neither dynamic nor static."""

PairToFrame = Callable[[Float[Tensor, "n 3 h w"], Float[Tensor, "n 3 h w"]], Float[Tensor, "n 3 h w"]]


def temporal_flickering(
    video: Float[Tensor, "t 3 h w"], valid_frames: Bool[Tensor, " t"] | None = None
) -> Float[Tensor, ""]:
    """Return 1 minus the mean absolute change between consecutive frames; 1 = a still, NaN = no two frames.

    Args:
        video: In [0, 1].
        valid_frames: Pairs with a frame that is False are left out; None = all count.

    Source:
        VBench (arXiv 2311.17982), temporal flickering: (255 - mean |x_t - x_{t+1}|) / 255 on bytes.
    """
    counted = _all_valid(valid_frames, len(video), [0, 1])
    changes = []
    for (before, after), counts in zip(pairwise(video), counted, strict=True):
        if counts:
            changes.append((after - before).abs().mean(dtype=torch.float64))
    return 1.0 - _mean(changes, video)


def motion_smoothness(
    video: Float[Tensor, "t 3 h w"],
    interpolate: PairToFrame,
    valid_frames: Bool[Tensor, " t"] | None = None,
    cut_to_bytes: bool = False,
    pairs_at_once: int = 4,
) -> Float[Tensor, ""]:
    """Return 1 minus the mean absolute error of odd frames interpolated from the even ones; NaN under three frames.

    The last frame of a video of even length has no even frame after it and does not count.

    Args:
        video: In [0, 1].
        interpolate: Takes frames 0, 2, 4 ... and those that follow them by two to the frames between.
        valid_frames: Triples with a frame that is False are left out; None = all count.
        cut_to_bytes: Cut interpolated frames down to whole 1/255 as VBench does, which darkens them by half a step.
        pairs_at_once: Pairs handed to ``interpolate`` together.

    Source:
        VBench (arXiv 2311.17982), motion smoothness: (255 - mean |x_odd - interpolated|) / 255 on bytes.
    """
    counted = torch.tensor(_all_valid(valid_frames, len(video), [0, 1, 2])[::2], dtype=torch.bool)
    starts = 2 * counted.nonzero()[:, 0]
    errors: list[Tensor] = []
    for start in starts.split(pairs_at_once) if len(starts) else []:
        between = interpolate(video[start], video[start + 2])
        if cut_to_bytes:
            between = (between.clamp(0, 1) * 255).floor() / 255
        errors.extend((between - video[start + 1]).abs().mean(dim=(1, 2, 3), dtype=torch.float64))
    return 1.0 - _mean(errors, video)


def flow_magnitude(flow: Float[Tensor, "n 2 h w"], share: float = FLOW_SHARE) -> Float[Tensor, " n"]:
    """Return the mean length of the longest flow vectors of each pair, in pixels.

    Args:
        flow: (x, y) in pixels.
        share: Share of the pixels that count; at least one pixel does (VBench: none on tiny frames, a NaN).
    """
    lengths = flow.double().square().sum(dim=1).sqrt().flatten(1)
    return lengths.topk(max(1, int(lengths.shape[1] * share)), dim=1).values.mean(dim=1)


def sampling_step(fps: float | int | None) -> int:
    """Return how many frames apart the frames lie that are compared, for about 8 a second; None = all are."""
    return 1 if fps is None else max(1, round(fps / SAMPLED_FPS))


def moving_pairs_needed(num_frames: int, compat: bool = False) -> int:
    """Return how many pairs must move for a video to be dynamic: a quarter of its frames.

    Args:
        num_frames: Frames that were compared.
        compat: Round ties to even as VBench does: 10 frames need 2 pairs, and two frames or fewer need none.
    """
    # A frame more is compared than there are pairs; VBench takes the quarter of the frames.
    quarter = 4 * num_frames / 16
    return round(quarter) if compat else max(1, math.floor(quarter + 0.5))


def dynamic_degree(
    magnitudes: Float[Tensor, " pairs"], num_frames: int, shorter_side: int, compat: bool = False
) -> Float[Tensor, ""]:
    """Return 1 for a video that moves and 0 for one that does not; NaN where too few frames were compared to tell.

    Args:
        magnitudes: ``flow_magnitude`` of the pairs, pixels.
        num_frames: Frames that were compared.
        shorter_side: The smaller of height and width, pixels; the threshold grows with it.
        compat: Decide short videos as VBench does: two frames are always dynamic, one never is.

    Source:
        VBench (arXiv 2311.17982), dynamic degree.
    """
    told = num_frames > 0 if compat else num_frames >= MIN_SAMPLED_FRAMES and len(magnitudes) > 0
    if not told or magnitudes.isnan().any():
        return magnitudes.new_full((), torch.nan)
    moving = (magnitudes > FLOW_THRESHOLD * shorter_side / FLOW_THRESHOLD_SIDE).sum()
    enough = moving >= moving_pairs_needed(num_frames, compat)
    return (enough & (len(magnitudes) > 0)).to(magnitudes.dtype)


def _all_valid(
    valid_frames: Bool[Tensor, " t"] | None,
    num_frames: int,
    offsets: list[int],
) -> list[bool]:
    """Tell for every first frame whether it and those at the offsets are there and valid."""
    valid = [True] * num_frames if valid_frames is None else valid_frames.tolist()
    num_starts = max(0, num_frames - offsets[-1])
    return [all(valid[first + offset] for offset in offsets) for first in range(num_starts)]


def _mean(values: list[Float[Tensor, ""]], like: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return the mean, or NaN of nothing, in fp64."""
    return torch.stack(values).mean() if values else like.new_full((), torch.nan, dtype=torch.float64)
