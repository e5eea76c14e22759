"""Everything a probe asks of one attention tap, from one pass over its keys: matches, shares, the way back, by head."""

import itertools
from collections.abc import Callable
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
    key: Float[Tensor, "b k n l d"]
    frame_times: Int[Tensor, " f"]
    stride: int
    grid: tuple[int, int]

    @classmethod
    def of(cls, tap: AttentionTap) -> "_Tokens":
        query, key = (rearrange(part, "b v f h w k d -> b k (v f) (h w) d").contiguous() for part in rotated(tap))
        return cls(query, key, tap.frame_times, tap.stride, (tap.key.shape[3], tap.key.shape[4]))

    @property
    def logits_of_query(self) -> int:
        """Logits of one query of every clip, or the size of its home frame's keys where that is more."""
        batch, heads, frames, cells, width = self.key.shape
        return batch * heads * cells * max(frames, width)


def _read_queries(
    tokens: _Tokens, rows: Tensor, queries: Tensor, others: Tensor | None, max_cells: float
) -> tuple[Tensor, ...]:
    """Return cell, mass, peak and home (b n q), then the same by head (k b n q)."""
    scale = rows.shape[-1] ** -0.5
    logits = torch.matmul(rows * scale, rearrange(tokens.key, "b k n l d -> b k d (n l)"))
    logits = rearrange(logits, "b k q (n l) -> b k q n l", n=tokens.key.shape[2])
    top, head_cell = logits.max(dim=-1)
    share = logits.sub_(top[..., None]).exp_()  # of the frame's largest
    total = share.sum(dim=-1)
    frame_logsumexp = top + total.log()
    normaliser = frame_logsumexp.logsumexp(dim=-1)
    if others is not None:
        normaliser = torch.logaddexp(normaliser, others.to(normaliser.dtype))
    head_mass = (frame_logsumexp - normaliser[..., None]).exp()
    head_peak = (top - normaliser[..., None]).exp()
    cell = _mean_over_heads(share, 1 / total).argmax(dim=-1)
    peak = _mean_over_heads(share, head_peak).amax(dim=-1)
    home = _Home.of(tokens, queries, max_cells)
    back = home.reached(cell[:, None].expand_as(head_cell), _best_of_mean)[:, 0]
    head_back = home.reached(head_cell, lambda logits: logits.argmax(dim=-1))
    mean = (cell, head_mass.mean(dim=1), peak, back)
    heads = (head_cell, head_mass, head_peak, head_back)
    return (
        *(rearrange(value, "b q n -> b n q") for value in mean),
        *(rearrange(value, "b k q n -> k b n q") for value in heads),
    )


@dataclass(frozen=True)
class _Home:
    """The frames that queries come from: their keys, and the cells to come back to."""

    tokens: _Tokens
    key: Float[Tensor, "b k q l d"]
    cell: Int[Tensor, "b q 2"]
    max_cells: float

    @classmethod
    def of(cls, tokens: _Tokens, queries: Tensor, max_cells: float) -> "_Home":
        lower, upper, weight = latent_frame_of(queries[..., 1], tokens.frame_times)
        frame = queries[..., 0].long() * len(tokens.frame_times) + torch.where(weight < 0.5, lower, upper)
        batch, heads, frames = tokens.key.shape[:3]
        first = torch.arange(batch * heads, device=frame.device).reshape(batch, heads, 1) * frames
        index = first + rearrange(frame, "b q -> b 1 q")
        key = tokens.key.flatten(0, 2).index_select(0, index.flatten()).unflatten(0, index.shape)
        return cls(tokens, key, cell_of_pixels(queries[..., 2:], tokens.stride), max_cells)

    def reached(self, cell: Int[Tensor, "b k q n"], best: Callable[[Tensor], Tensor]) -> Bool[Tensor, "b _ q n"]:
        """Return where the tokens at flat cells match back to home; ``best`` picks the cell from (b k q n l) logits."""
        features = self._features(cell)
        logits = torch.matmul(features * features.shape[-1] ** -0.5, self.key.mT)
        offset = unflat_cell(best(logits), self.tokens.grid[1]) - rearrange(self.cell, "b q xy -> b 1 q 1 xy")
        return offset.float().norm(dim=-1) < self.max_cells

    def _features(self, cell: Int[Tensor, "b k q n"]) -> Float[Tensor, "b k q n d"]:
        """Return the queries of the tokens at the flat cells, one of every head and frame."""
        batch, heads, frames, cells, _ = self.tokens.query.shape
        frame = torch.arange(batch * heads * frames, device=cell.device).reshape(batch, heads, 1, frames)
        index = frame * cells + cell
        table = rearrange(self.tokens.query, "b k n l d -> (b k n l) d")
        return table.index_select(0, index.flatten()).unflatten(0, index.shape)


def _mean_over_heads(share: Float[Tensor, "b k q n l"], weight: Float[Tensor, "b k q n"]) -> Float[Tensor, "b q n l"]:
    return (share * weight[..., None]).mean(dim=1)


def _best_of_mean(logits: Float[Tensor, "b k q n l"]) -> Int[Tensor, "b 1 q n"]:
    return logits.softmax(dim=-1).mean(dim=1, keepdim=True).argmax(dim=-1)


def _reading(values: list[Tensor], tap: AttentionTap) -> AttentionReading:
    cell, mass, peak, home = values
    return AttentionReading(unflat_cell(cell, tap.key.shape[4]), mass, peak, home)
