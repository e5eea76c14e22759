"""How alike the frames of a video are in some feature: each to the one before it, and to the first."""

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor


def temporal_consistency(
    features: Float[Tensor, "b t d"], valid_frames: Bool[Tensor, "b t"] | None = None
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
    """Average the similarity of every frame to its predecessor and to the first frame.

    ``s_i = (max(0, cos(f_i, f_{i-1})) + max(0, cos(f_i, f_0))) / 2``, mean over i >= 1. Frames that are not valid are
    as if they had never been: the predecessor is the nearest valid frame before. A feature of norm 0 has cosine 0
    with everything.

    Args:
        features: One vector a frame.
        valid_frames: False for padding; None = all frames count.

    Returns:
        Scores in [0, 1] in float64, NaN for a video of fewer than two valid frames; the number of terms of each mean;
        and how many of its valid frames have norm 0.

    Source:
        VBench (arXiv 2311.17982), subject and background consistency.
    """
    if valid_frames is None:
        valid_frames = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
    features = features.double()
    norms = torch.linalg.vector_norm(features, dim=-1)
    unit = features / rearrange(torch.where(norms > 0, norms, 1), "b t -> b t 1")
    first, before = first_and_previous(valid_frames)
    to_first = _similarity(unit, repeat(first, "b -> b t", t=unit.shape[1]))
    terms = (_similarity(unit, before) + to_first) / 2
    counted = valid_frames & (before >= 0)
    num_terms = counted.sum(1)
    scores = torch.where(counted, terms, 0).sum(1) / num_terms
    return scores, num_terms, ((norms == 0) & valid_frames).sum(1)


def first_and_previous(valid_frames: Bool[Tensor, "b t"]) -> tuple[Int[Tensor, " b"], Int[Tensor, "b t"]]:
    """Return the index of the first valid frame, and of the last one before each frame (-1 = there is none)."""
    frames = torch.arange(valid_frames.shape[1], device=valid_frames.device)
    # The largest index of a valid frame so far is that of the latest one.
    latest = torch.where(valid_frames, frames, -1).cummax(1).values
    before = torch.cat([torch.full_like(latest[:, :1], -1), latest[:, :-1]], dim=1)
    return valid_frames.int().argmax(1), before


def _similarity(unit: Float[Tensor, "b t d"], other: Int[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    index = repeat(other.clamp(min=0), "b t -> b t d", d=unit.shape[-1])
    return einsum(unit, unit.gather(1, index), "b t d, b t d -> b t").clamp(min=0)
