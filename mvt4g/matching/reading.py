"""Everything a probe asks of one attention tap, from one pass over its keys: matches, shares, the way back, by head."""

import itertools
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.matching.rows import MAX_LOGITS, gather_queries, rotated
from mvt4g.matching.tokens import cell_of_pixels, latent_frame_of, unflat_cell
from mvt4g.types import AttentionTap


@dataclass(frozen=True)
class AttentionReading:
    """What attention says of every query in every view and latent frame: the mean over heads, or one entry a head.

    Attributes:
        cells: (column, row) of the best token, by the softmax over the keys of its frame.
        mass: Share of the query's attention that goes to the frame, of all that there is.
        peak: Largest share of one of the frame's tokens.
        home: True where the match, matched back into the query's own frame, comes home.
    """

    cells: Int[Tensor, "*k b v f q 2"]
    mass: Float[Tensor, "*k b v f q"]
    peak: Float[Tensor, "*k b v f q"]
    home: Bool[Tensor, "*k b v f q"]


@torch.no_grad()
def read_attention(
    tap: AttentionTap,
    queries: Float[Tensor, "b q 4"],
    max_cells: float = 1.5,
    other_logsumexp: Float[Tensor, "b q k"] | None = None,
    max_logits: int = MAX_LOGITS,
) -> tuple[AttentionReading, AttentionReading]:
    """Read the rows of query points: ``argmax_matches``, ``frame_attention`` and ``cycle_consistent`` in one.

    Rows are built for all heads at once, a few queries at a time, and never kept.

    Args:
        tap: Tokens of all views and frames.
        queries: (view, video frame, x, y), pixels.
        max_cells: How near home a match must come back, in cells. A query between two latent frames is matched back
            into the nearer one.
        other_logsumexp: As for ``frame_attention``.
        max_logits: Most logits held at once, but at least one query's.

    Returns:
        The mean over heads, and every head by itself.
    """
    with torch.autocast(tap.key.device.type, enabled=False):
        tokens = _Tokens.of(tap)
        rows = rearrange(gather_queries(tap, queries, rotate=True), "b q k d -> b k q d")
        others = None if other_logsumexp is None else rearrange(other_logsumexp, "b q k -> b k q")
        size = max(1, max_logits // tokens.logits_of_query)
        parts = zip(
            rows.split(size, dim=2),
            queries.split(size, dim=1),
            itertools.repeat(None) if others is None else others.split(size, dim=2),
            strict=False,
        )
        read = [_read_queries(tokens, *part, max_cells) for part in parts]
    views = tap.key.shape[1]
    whole = [torch.cat(values, dim=-1) for values in zip(*read, strict=True)]
    mean, heads = ([rearrange(v, "... (v f) q -> ... v f q", v=views) for v in half] for half in (whole[:4], whole[4:]))
    return _reading(mean, tap), _reading(heads, tap)


@dataclass(frozen=True)
class _Tokens:
    """A tap's rotated queries and keys, ``n`` counting (view, latent frame) and ``l`` the cells of a frame."""

    query: Float[Tensor, "b k n l d"]
    key: Float[Tensor, "b k n d l"]
    frame_times: Int[Tensor, " f"]
    stride: int
    width: int

    @classmethod
    def of(cls, tap: AttentionTap) -> "_Tokens":
        query, key = rotated(tap)
        return cls(
            rearrange(query, "b v f h w k d -> b k (v f) (h w) d").contiguous(),
            rearrange(key * key.shape[-1] ** -0.5, "b v f h w k d -> b k (v f) d (h w)").contiguous(),
            tap.frame_times,
            tap.stride,
            tap.key.shape[4],
        )

    @property
    def logits_of_query(self) -> int:
        """Logits of one query of every clip, or the size of its home frame's keys where that is more."""
        batch, heads, frames, width, cells = self.key.shape
        return batch * heads * cells * max(2 * frames, width)


def _read_queries(
    tokens: _Tokens, rows: Tensor, queries: Tensor, others: Tensor | None, max_cells: float
) -> tuple[Tensor, ...]:
    """Return cell, mass, peak and home (b n q), then the same by head (k b n q)."""
    logits = torch.matmul(rows[:, :, None], tokens.key)  # b k n q l
    top, head_cell = logits.max(dim=-1)
    share = logits.sub_(top[..., None]).exp_()  # of the frame's largest
    total = share.sum(dim=-1)
    frame_logsumexp = top + total.log()
    normaliser = frame_logsumexp.logsumexp(dim=2, keepdim=True)
    if others is not None:
        normaliser = torch.logaddexp(normaliser, others[:, :, None].to(normaliser.dtype))
    head_mass, head_peak = (frame_logsumexp - normaliser).exp(), (top - normaliser).exp()
    cell = _mean_over_heads(share, 1 / total).argmax(dim=-1)
    peak = _mean_over_heads(share, head_peak).amax(dim=-1)
    home, head_home = _come_home(tokens, queries, cell, head_cell, max_cells)
    by_head = (rearrange(value, "b k n q -> k b n q") for value in (head_cell, head_mass, head_peak, head_home))
    return cell, head_mass.mean(dim=1), peak, home, *by_head


def _come_home(
    tokens: _Tokens,
    queries: Float[Tensor, "b q 4"],
    cell: Int[Tensor, "b n q"],
    head_cell: Int[Tensor, "b k n q"],
    max_cells: float,
) -> tuple[Bool[Tensor, "b n q"], Bool[Tensor, "b k n q"]]:
    """Return whether the tokens at these flat cells match back to where the queries are, of the mean and by head."""
    batch, heads, frames, width, cells = tokens.key.shape
    first = torch.arange(batch * heads, device=cell.device).reshape(batch, heads, 1) * frames
    index = first + rearrange(_home_frame(tokens, queries), "b q -> b 1 q")
    key = rearrange(tokens.key, "b k n d l -> (b k n) d l").index_select(0, index.flatten())
    frame = (first + torch.arange(frames, device=cell.device))[..., None] * cells
    index = torch.stack([cell[:, None] + frame, head_cell + frame])
    index = rearrange(index, "both b k n q -> b k q both n")
    query = rearrange(tokens.query, "b k n l d -> (b k n l) d").index_select(0, index.flatten())
    logits = torch.matmul(query.reshape(-1, 2 * frames, width), key).reshape(*index.shape, cells)
    own, by_head = logits.unbind(dim=3)
    back = own.softmax(dim=-1).mean(dim=1).argmax(dim=-1)
    target = cell_of_pixels(queries[..., 2:], tokens.stride)[:, :, None]
    near, near_by_head = (
        (unflat_cell(reached, tokens.width) - there).float().norm(dim=-1) < max_cells
        for reached, there in ((back, target), (by_head.argmax(dim=-1), target[:, None]))
    )
    return rearrange(near, "b q n -> b n q"), rearrange(near_by_head, "b k q n -> b k n q")


def _home_frame(tokens: _Tokens, queries: Float[Tensor, "b q 4"]) -> Int[Tensor, "b q"]:
    """Return the (view, latent frame) that each query is in, the nearer one where it is between two."""
    lower, upper, weight = latent_frame_of(queries[..., 1], tokens.frame_times)
    return queries[..., 0].long() * len(tokens.frame_times) + torch.where(weight < 0.5, lower, upper)


def _mean_over_heads(share: Float[Tensor, "b k n q l"], weight: Float[Tensor, "b k n q"]) -> Float[Tensor, "b n q l"]:
    return (share * weight[..., None]).mean(dim=1)


def _reading(values: list[Tensor], tap: AttentionTap) -> AttentionReading:
    cell, mass, peak, home = values
    return AttentionReading(unflat_cell(cell, tap.key.shape[4]), mass, peak, home)
