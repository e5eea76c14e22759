"""Everything a probe asks of one attention tap, from one pass over its keys: matches, shares, the way back, by head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.matching.rows import MAX_LOGITS, check_readable, gather_queries, logsumexp_of_others, rotated
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
    wanted: Bool[Tensor, "b v f q"] | None = None,
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
        wanted: Where matches are; elsewhere ``cells``, ``peak`` and ``home`` are 0. None = everywhere.
        max_logits: Most logits held at once, but at least one query's.

    Returns:
        The mean over heads, and every head by itself.
    """
    batch, views, frames = tap.key.shape[:3]
    if wanted is None:
        every = torch.ones(1, dtype=torch.bool, device=queries.device)
        wanted = every.expand(batch, views, frames, queries.shape[1])
    check_readable(tap, queries)
    with torch.autocast(tap.key.device.type, enabled=False):
        tokens = _Tokens.of(tap)
        features = gather_queries(tap, queries, rotate=True)
        if other_logsumexp is None:
            other_logsumexp = logsumexp_of_others(tap, features)
        rows = rearrange(features, "b q k d -> b k q d")
        others = None if other_logsumexp is None else rearrange(other_logsumexp, "b q k -> b k q")
        wanted = rearrange(wanted, "b v f q -> b (v f) q")
        clips = max(1, max_logits // max(1, tokens.logits_of_query * queries.shape[1]))
        size = max(1, max_logits // (tokens.logits_of_query * clips))
        read = []
        for start in range(0, batch, clips):
            part = slice(start, start + clips)
            of_clips = tokens.of_clips(part)
            found = []
            for first in range(0, max(1, queries.shape[1]), size):  # no query is one part of none
                points = slice(first, first + size)
                other = None if others is None else others[part, :, points]
                entry = (rows[part, :, points], queries[part, points], wanted[part, :, points], other)
                found.append(_read_queries(of_clips, *entry, max_cells))
            read.append(_joined(found, dim=-1))  # along the queries
    whole = _joined(read, dim=-3)  # along the clips
    by_frame = [rearrange(values, "... (v f) q -> ... v f q", v=views) for values in whole]
    cell, mass, peak, home, head_cell, head_mass, head_peak, head_home = by_frame
    of_mean = AttentionReading(tokens.cells[cell], mass, peak, home)
    of_heads = AttentionReading(tokens.cells[head_cell], head_mass, head_peak, head_home)
    return of_mean, of_heads


def _joined(
    parts: Sequence[Sequence[Shaped[Tensor, "..."]]],
    dim: int,
) -> list[Shaped[Tensor, "..."]]:
    """Concatenate the first tensors of all parts, then the second, and so on."""
    return [torch.cat(values, dim=dim) for values in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Tokens:
    """A tap's rotated queries and keys, ``n`` counting (view, latent frame) and ``l`` the cells of a frame."""

    query: Float[Tensor, "b n k l d"]
    key: Float[Tensor, "b n k d l"]
    cells: Int[Tensor, "l 2"]
    frame_times: Int[Tensor, " f"]
    stride: int

    @classmethod
    def of(cls, tap: AttentionTap) -> "_Tokens":
        query, key = rotated(tap)
        scaled = key * key.shape[-1] ** -0.5
        place = torch.arange(key.shape[3:5].numel(), device=key.device)
        return cls(
            query=rearrange(query, "b v f h w k d -> b (v f) k (h w) d").contiguous(),
            key=rearrange(scaled, "b v f h w k d -> b (v f) k d (h w)").contiguous(),
            cells=unflat_cell(place, key.shape[4]),
            frame_times=tap.frame_times,
            stride=tap.stride,
        )

    def of_clips(self, part: slice) -> "_Tokens":
        """Return those of some clips."""
        return replace(self, query=self.query[part], key=self.key[part])

    @property
    def logits_of_query(self) -> int:
        """Logits of one query of one clip, there and back."""
        _, frames, heads, _, cells = self.key.shape
        return 2 * frames * heads * cells


@dataclass(frozen=True)
class _Entries:
    """The wanted (clip, frame, query) triples ``e``, sorted by the frame that their queries are at home in.

    Attributes:
        flat: Each one's place in (b n q).
        row: The row of each of its heads in (b n k q).
        frame: The frame of each of its heads in (b n k).
        own: (column, row) of the query.
        sizes: How many there are in each home frame of each clip, (b n).
        back: Where the two rows that are matched back, for the mean and for the head, stand among those of all home
            frames, one frame's after another's, (k e) within a frame.
    """

    flat: Int[Tensor, " e"]
    row: Int[Tensor, "k e"]
    frame: Int[Tensor, "k e"]
    own: Int[Tensor, "e 2"]
    sizes: list[int]
    back: Int[Tensor, "2 k e"]

    @classmethod
    def of(
        cls,
        tokens: _Tokens,
        queries: Float[Tensor, "b q 4"],
        wanted: Bool[Tensor, "b n q"],
    ) -> "_Entries":
        batch, frames, heads = tokens.key.shape[:3]
        clip, frame, query = wanted.nonzero().unbind(dim=1)
        home_frame = _home_frame(tokens, queries)[clip, query]
        home, order = (clip * frames + home_frame).sort(stable=True)
        clip = clip[order]
        frame = frame[order]
        query = query[order]
        sizes = home.bincount(minlength=batch * frames)
        size = sizes[home]
        start = (sizes.cumsum(0) - sizes)[home]
        head = torch.arange(heads, device=home.device)[:, None]
        of_head = (clip * frames + frame) * heads + head
        # Before an entry stand 2 rows a head of every entry of earlier home frames; within its frame, those of earlier
        # heads, and the entries before it of its own head.
        place = torch.arange(len(home), device=home.device)
        back = place + (2 * heads - 1) * start + 2 * head * size
        return cls(
            flat=(clip * frames + frame) * wanted.shape[2] + query,
            row=of_head * wanted.shape[2] + query,
            frame=of_head,
            own=cell_of_pixels(queries[..., 2:], tokens.stride)[clip, query],
            sizes=sizes.tolist(),
            back=torch.stack([back, back + size]),
        )

    def spread(
        self,
        values: Shaped[Tensor, "*k e"],
        shape: Sequence[int],
    ) -> Shaped[Tensor, "*k b n q"]:
        """Return the values where they belong, and 0 elsewhere."""
        whole = values.new_zeros(*values.shape[:-1], *shape)
        whole.flatten(-3)[..., self.flat] = values
        return whole


def _read_queries(
    tokens: _Tokens,
    rows: Float[Tensor, "b k q d"],
    queries: Float[Tensor, "b q 4"],
    wanted: Bool[Tensor, "b n q"],
    others: Float[Tensor, "b k q"] | None,
    max_cells: float,
) -> tuple[Shaped[Tensor, "*k b n q"], ...]:
    """Return cell, mass, peak and home (b n q), then the same by head (k b n q)."""
    logits = torch.matmul(rows[:, None], tokens.key)  # b n k q l
    share = logits.softmax(dim=-1)  # of the frame
    largest = share.amax(dim=-1)
    frame_logsumexp = logits.amax(dim=-1) - largest.log()
    normaliser = frame_logsumexp.logsumexp(dim=1, keepdim=True)
    if others is not None:
        normaliser = torch.logaddexp(normaliser, others[:, None].to(normaliser.dtype))
    mass = (frame_logsumexp - normaliser).exp()
    entries = _Entries.of(tokens, queries, wanted)
    share = _take(share.flatten(0, 3), entries.row)  # k e l
    largest = _take(largest.flatten(0, 3), entries.row)  # k e
    part = _take(mass.flatten(0, 3), entries.row)
    mean = share.mean(dim=0)
    cell = _first_largest(mean, mean.amax(dim=-1))
    head_cell = _first_largest(share, largest)
    # Of all attention, not of the frame's alone; written over the shares, which nobody needs any more.
    peak = share.mul_(part[..., None]).mean(dim=0).amax(dim=-1)
    reached, head_reached = _match_back(tokens, entries, cell, head_cell)
    home = (tokens.cells[reached] - entries.own).float().norm(dim=-1) < max_cells
    head_home = (tokens.cells[head_reached] - entries.own).float().norm(dim=-1) < max_cells

    def spread(values: Shaped[Tensor, "*k e"]) -> Shaped[Tensor, "*k b n q"]:
        return entries.spread(values, wanted.shape)

    of_mean = (spread(cell), mass.mean(dim=2), spread(peak), spread(home))
    by_head = rearrange(mass, "b n k q -> k b n q")
    return *of_mean, spread(head_cell), by_head, spread(largest * part), spread(head_home)


def _match_back(
    tokens: _Tokens,
    entries: _Entries,
    cell: Int[Tensor, " e"],
    head_cell: Int[Tensor, "k e"],
) -> tuple[Int[Tensor, " e"], Int[Tensor, "k e"]]:
    """Return where tokens (flat cells) match back in the queries' home frames, by the mean over heads and by head.

    Rows that are matched back into one frame meet its keys together: one matrix product a frame and head.
    """
    heads, width, num_cells = tokens.key.shape[2:]
    token = entries.frame * num_cells + torch.stack([cell.expand_as(head_cell), head_cell])
    in_order = torch.empty_like(token).put_(entries.back, token).flatten()
    rows = tokens.query.flatten(0, 3).index_select(0, in_order)
    logits = rows.new_empty(len(rows), num_cells)
    sizes = [2 * heads * size for size in entries.sizes]
    parts = zip(rows.split(sizes), tokens.key.flatten(0, 1), logits.split(sizes), strict=True)
    for asking, key, out in parts:
        torch.bmm(asking.view(heads, -1, width), key, out=out.view(heads, -1, num_cells))
    mean, by_head = _take(logits, entries.back)
    mean = mean.softmax(dim=-1).mean(dim=0)
    reached = _first_largest(mean, mean.amax(dim=-1))
    return reached, _first_largest(by_head, by_head.amax(dim=-1))


def _take(
    rows: Shaped[Tensor, "..."],
    index: Int[Tensor, "*e"],
) -> Shaped[Tensor, "..."]:
    """Return rows[index], faster."""
    return rows.index_select(0, index.flatten()).unflatten(0, index.shape)


def _first_largest(
    values: Float[Tensor, "*b l"],
    largest: Float[Tensor, " *b"],
) -> Int[Tensor, " *b"]:
    """Return where each row first is at its largest; ``argmax`` takes four times as long on a CPU."""
    is_largest = torch.empty_like(values)
    torch.ge(values, largest[..., None], out=is_largest)
    size = values.shape[-1]
    from_end = torch.arange(size, 0, -1, dtype=values.dtype, device=values.device)
    place = size - is_largest.mul_(from_end).amax(dim=-1)
    return place.clamp_(max=size - 1).long()  # NaN is nowhere largest


def _home_frame(
    tokens: _Tokens,
    queries: Float[Tensor, "b q 4"],
) -> Int[Tensor, "b q"]:
    """Return the (view, latent frame) that each query is in, the nearer one where it is between two."""
    lower, upper, weight = latent_frame_of(queries[..., 1], tokens.frame_times)
    nearer = torch.where(weight < 0.5, lower, upper)
    return queries[..., 0].long() * len(tokens.frame_times) + nearer
