"""Queries and keys of an attention tap -> matches: the rows of its map that belong to query points, frame by frame.

A row is what one query token sees: for every head, view and latent frame, logits over the h*w keys of that frame, and a
softmax over those keys alone. Only rows of query points are ever built, a few frames at a time; the full map
(65,520 squared at full size) never is. What is differentiated lies in ``matching/labels.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.matching.tokens import cell_centre, cell_of_pixels, flat_cell, latent_frame_of, unflat_cell
from mvt4g.types import AttentionTap, InputError

MAX_LOGITS = 2**22
"""Logits, or rotated key features, built at once (16 MiB in fp32); any value gives the same result."""


@dataclass(frozen=True)
class Matches:
    """Where each query point is found in every view and latent frame.

    Attributes:
        cells: (column, row) of the best token.
        pixels: Its centre, pixels (x, y).
        probability: Its share of the per-frame softmax, mean over heads.
    """

    cells: Int[Tensor, "b v f q 2"]
    pixels: Float[Tensor, "b v f q 2"]
    probability: Float[Tensor, "b v f q"]


@dataclass(frozen=True)
class FrameAttention:
    """How much of each query's attention goes to every view and latent frame: one softmax over the whole sequence.

    Attributes:
        mass: Sum over the frame's tokens, mean over heads; sums to 1 over views and frames if the video's tokens are
            all there is.
        peak: Largest over the frame's tokens of the mean over heads.
    """

    mass: Float[Tensor, "b v f q"]
    peak: Float[Tensor, "b v f q"]


def check_readable(tap: AttentionTap, queries: Float[Tensor, "b q 4"]) -> None:
    """Check that queries can be read off a tap: NaN would spread to every score, and a wrong view to another clip.

    Where gradients are recorded, a tap that is not finite goes on to the loss: what a fit does about it is decided
    after the step, by all ranks alike. One that raised here would leave the others waiting.

    Raises:
        InputError: If a query is of no view or not finite, or without gradients a value of the tap is not finite.
    """
    view = queries[..., 0]
    views = tap.query.shape[1]
    sums = tap.query.detach().sum(dtype=torch.float32) + tap.key.detach().sum(dtype=torch.float32)
    in_views = ((view >= 0) & (view < views)).all()
    sound = torch.stack([torch.isfinite(queries).all(), in_views, torch.isfinite(sums)])
    finite, seen, readable = sound.tolist()  # one wait for the device
    if not finite:
        raise InputError("queries: got a value that is not finite, want (view, frame, x, y)")
    if not seen:
        raise InputError(f"queries: got views from {view.min():g} to {view.max():g}, want 0 to {views - 1}")
    if not readable and not torch.is_grad_enabled():
        raise InputError(f"tap of layer {tap.layer}: got queries or keys that are not finite: has training diverged?")


def rotated(tap: AttentionTap) -> tuple[Float[Tensor, "b v f h w k d"], Float[Tensor, "b v f h w k d"]]:
    """Return query and key as attention uses them, after rotary embedding, in fp32 or wider."""
    query = rotate_pairs(_widened(tap.query), tap.rotary)
    return query, rotate_pairs(_widened(tap.key), tap.rotary)


def gather_queries(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    rotate: bool,
) -> Float[Tensor, "b q k d"]:
    """Return the query features of the token under each query point, in fp32 or wider.

    Between two latent frames, features before rotary embedding are linear in time, and so are the rotary angles
    (which is exact for them); a point outside the image takes the nearest token.

    Args:
        queries: (view, video frame, x, y), pixels.
        rotate: Apply the layer's rotary embedding.
    """
    height, width = tap.query.shape[3:5]
    lower, upper, weight = latent_frame_of(queries[..., 1], tap.frame_times)
    cell = flat_cell(cell_of_pixels(queries[..., 2:], tap.stride), height, width)
    view = queries[..., 0].long()
    # Both frames in one gather, so that there is one map of gradient.
    both = (torch.cat([lower, upper], dim=1), view.repeat(1, 2), cell.repeat(1, 2))
    weight = weight[..., None, None]

    def at_query(values: Float[Tensor, "clips v f h w k_ d_"]) -> Float[Tensor, "b q k_ d_"]:
        early, late = _widened(_take_tokens(values, *both)).chunk(2, dim=1)
        return torch.lerp(early, late, weight.to(early.dtype))

    features = at_query(tap.query)
    return rotate_pairs(features, at_query(tap.rotary)) if rotate else features


def row_logits(
    query_rows: Float[Tensor, "b q k d"], key: Float[Tensor, "b v f h w k d"]
) -> Float[Tensor, "b q k v f hw"]:
    """Return q . k / sqrt(d) of every query row with every key, all rows at once: for few queries or small maps."""
    with torch.autocast(key.device.type, enabled=False):
        logits = einsum(_widened(query_rows), _widened(key), "b q k d, b v f h w k d -> b q k v f h w")
        logits = rearrange(logits, "b q k v f h w -> b q k v f (h w)")
        return logits * key.shape[-1] ** -0.5


def row_log_softmax(
    query_rows: Float[Tensor, "b q k d"], key: Float[Tensor, "b v f h w k d"]
) -> Float[Tensor, "b q k v f hw"]:
    """Return the log-softmax of each row over the keys of one frame (not over the whole sequence).

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 3.
    """
    return row_logits(query_rows, key).log_softmax(dim=-1)


@torch.no_grad()
def argmax_matches(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    max_logits: int = MAX_LOGITS,
) -> Matches:
    """Match every query to the best cell of every (view, frame) by the layer's own attention; no gradient.

    Probabilities of the per-frame softmax are averaged over heads before the best is taken (as DiffTrack does). The
    query's own frame is matched like the others.
    """

    def best_in_frames(
        rows: Float[Tensor, "b q k d"],
        key: Float[Tensor, "n b l k d"],
        angles: Float[Tensor, " n #b l #k e"],
    ) -> Float[Tensor, "2 n b q"]:
        probability = _frame_logits(rows, key, angles).softmax(dim=-1).mean(dim=2)
        probability, cell = probability.max(dim=-1)
        return torch.stack([probability, cell.to(probability.dtype)])

    rows = gather_queries(tap, queries, rotate=True)
    best = torch.cat(_over_frames(best_in_frames, rows, tap, max_logits), dim=1)
    probability, index = rearrange(best, "two (v f) b q -> two b v f q", v=tap.key.shape[1])
    cells = unflat_cell(index.long(), tap.key.shape[4])
    return Matches(cells, cell_centre(cells, tap.stride), probability)


@torch.no_grad()
def frame_attention(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    other_logsumexp: Float[Tensor, "b q k"] | None = None,
    max_logits: int = MAX_LOGITS,
) -> FrameAttention:
    """Say how each query's attention is spread over views and latent frames; no gradient.

    Frames are gone through twice, for the normaliser and for the shares, a few at a time, so that no row is held
    whole. For one head, slice the tap.

    Args:
        tap: Tokens of all views and frames: the whole sequence, but for ``other_logsumexp``.
        queries: (view, video frame, x, y), pixels.
        other_logsumexp: Log of the sum of exp of the logits q . k / sqrt(d) of tokens that are no video (text in the
            same attention); they take their share and belong to no frame. None = that of the tap's ``other_key``.
        max_logits: Most logits held at once; at least one frame is.

    Source: the attention and confidence scores of DiffTrack (arXiv 2506.17220).
    """
    rows = gather_queries(tap, queries, rotate=True)

    def frame_logsumexp(
        rows: Float[Tensor, "b q k d"],
        key: Float[Tensor, "n b l k d"],
        angles: Float[Tensor, " n #b l #k e"],
    ) -> Float[Tensor, "n b k q"]:
        return _frame_logits(rows, key, angles).logsumexp(dim=-1)

    other_logsumexp = logsumexp_of_others(tap, rows) if other_logsumexp is None else other_logsumexp
    normaliser = torch.cat(_over_frames(frame_logsumexp, rows, tap, max_logits)).logsumexp(dim=0)
    if other_logsumexp is not None:
        others = rearrange(other_logsumexp, "b q k -> b k q")
        normaliser = torch.logaddexp(normaliser, others.to(normaliser.dtype))

    def mass_and_peak(
        rows: Float[Tensor, "b q k d"],
        key: Float[Tensor, "n b l k d"],
        angles: Float[Tensor, " n #b l #k e"],
    ) -> Float[Tensor, "2 n b q"]:
        share = (_frame_logits(rows, key, angles) - normaliser[..., None]).exp().mean(dim=2)
        return torch.stack([share.sum(dim=-1), share.amax(dim=-1)])

    spread = torch.cat(_over_frames(mass_and_peak, rows, tap, max_logits), dim=1)
    by_view = rearrange(spread, "two (v f) b q -> two b v f q", v=tap.key.shape[1])
    return FrameAttention(*by_view)


def logsumexp_of_others(
    tap: AttentionTap,
    query_rows: Float[Tensor, "b q k d"],
) -> Float[Tensor, "b q k"] | None:
    """Return the log of the sum of exp of the rows' logits of a tap's tokens that are no video; None = it has none."""
    if tap.other_key is None:
        return None
    with torch.autocast(query_rows.device.type, enabled=False):
        logits = einsum(query_rows, tap.other_key.to(query_rows.dtype), "b q k d, b l k d -> b q k l")
        return (logits * query_rows.shape[-1] ** -0.5).logsumexp(dim=-1)


@torch.no_grad()
def cycle_consistent(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    matches: Matches,
    max_cells: float = 1.5,
) -> Bool[Tensor, "b v f q"]:
    """Return where the match, matched back into the query's own frame, comes home within ``max_cells`` cells.

    A query between two latent frames is matched back into the nearer one.

    Source: CAMEO (its threshold is 1.5 cells).
    """
    views, frames, height, width = tap.key.shape[1:5]
    lower, upper, weight = latent_frame_of(queries[..., 1], tap.frame_times)
    home_frame = torch.where(weight < 0.5, lower, upper)
    home_cell = cell_of_pixels(queries[..., 2:], tap.stride)
    query, key = rotated(tap)
    clip = torch.arange(len(queries), device=queries.device)
    at_match = flat_cell(matches.cells, height, width)
    query = rearrange(query, "b v f h w k d -> b v f (h w) k d")
    consistent = []
    for point in range(queries.shape[1]):
        index = at_match[..., point][..., None, None, None]
        index = index.expand(-1, -1, -1, 1, *query.shape[-2:])
        rows = rearrange(query.gather(3, index), "b v f 1 k d -> b (v f) k d")
        home_view = queries[:, point, 0].long()
        home_keys = key[clip, home_view, home_frame[:, point]][:, None, None]
        probability = row_log_softmax(rows, home_keys).exp().mean(dim=2)
        back = probability.argmax(dim=-1)
        offset = unflat_cell(back, width) - home_cell[:, point][:, None, None, None]
        near = offset.to(torch.float32).norm(dim=-1) < max_cells
        consistent.append(rearrange(near, "b (v f) 1 1 -> b v f", v=views, f=frames))
    return torch.stack(consistent, dim=-1)


def frames_at_once(
    query_rows: Float[Tensor, "b q k d"],
    num_cells: int,
    max_logits: int,
) -> int:
    """Return how many frames' logits, and rotated keys, are at most ``max_logits`` values; at least 1."""
    batch, points, heads, dim = query_rows.shape
    return max(1, max_logits // max(1, batch * heads * num_cells * max(points, dim)))


def _over_frames(
    function: Callable[
        [Float[Tensor, "b q k d"], Float[Tensor, "n b l k d"], Float[Tensor, " n #b l #k e"]], Float[Tensor, "..."]
    ],
    query_rows: Float[Tensor, "b q k d"],
    tap: AttentionTap,
    max_logits: int,
) -> list[Float[Tensor, "..."]]:
    """Call ``function(rows, keys, angles)`` on chunks of (view, frame)."""
    key = rearrange(tap.key, "b v f h w k d -> (v f) b (h w) k d")
    angles = rearrange(tap.rotary, "b v f h w k e -> (v f) b (h w) k e")
    size = frames_at_once(query_rows, key.shape[2], max_logits)
    with torch.autocast(key.device.type, enabled=False):
        parts = zip(key.split(size), angles.split(size), strict=True)
        return [function(query_rows, *part) for part in parts]


def _frame_logits(
    query_rows: Float[Tensor, "b q k d"],
    key: Float[Tensor, "n b l k d"],
    angles: Float[Tensor, " n #b l #k e"],
) -> Float[Tensor, "n b k q l"]:
    """Logits of all query rows in n frames of l tokens, the keys being rotated here."""
    key = rotate_pairs(_widened(key), angles)
    return einsum(query_rows * key.shape[-1] ** -0.5, key, "b q k d, n b l k d -> n b k q l")


def _take_tokens(
    values: Float[Tensor, "clips v f h w k d"],
    frame: Int[Tensor, "b q"],
    view: Int[Tensor, "b q"],
    cell: Int[Tensor, "b q"],
) -> Float[Tensor, "b q k d"]:
    """Rows at (view, frame, flat cell), with a backward that is repeatable; one clip's values serve all."""
    clips, views, frames, height, width = values.shape[:5]
    clip = torch.arange(len(frame), device=values.device)[:, None] if clips > 1 else 0
    index = ((clip * views + view) * frames + frame) * (height * width) + cell
    table = rearrange(values, "b v f h w k d -> (b v f h w) k d")
    taken = table.index_select(0, index.flatten())
    return rearrange(taken, "(b q) k d -> b q k d", b=len(frame))


def _widened(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return values.to(torch.promote_types(values.dtype, torch.float32))
