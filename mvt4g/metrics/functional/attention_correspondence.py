"""Where attention finds correspondences: matching accuracy, attention score, confidence, and their harmonic mean.

After DiffTrack (arXiv 2506.17220), without the mistakes of its code: a query is its own token, a token is its centre, a
latent frame is compared at its own time, the query's own frame proves nothing, and a point that is hidden has no
confidence rather than none.
"""

import warnings
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import one_hot

from mvt4g.matching.pairs import KINDS, VIEW_PAIRS, CountRule, ViewPair, entries_of, view_pairs
from mvt4g.matching.tokens import cell_centre
from mvt4g.metrics.functional.checks import check_shape, check_truth
from mvt4g.ranges import check_word
from mvt4g.types import InputError, PointTruth

PANELS: dict[str, tuple[ViewPair, ...]] = {
    **KINDS,
    "cross_ref_to_tgt": ("ref_tgt",),
    "cross_tgt_to_ref": ("tgt_ref",),
}
"""Pairs of views that each panel pools."""
NUM_PAIRS = len(VIEW_PAIRS)
MAX_VIEWS = 2
MATCH_AXES = 5
"""Axes of the matches of one layer; one more for several rows."""
CrossFrames = Literal["same", "all"]


class CorrespondenceCounts(NamedTuple):
    """Sums and counts of one layer (or of several rows) at one step, for each of the four pairs of views; float64.

    Attributes:
        hits: Matches within the threshold.
        matches: Matches that count.
        candidate_hits: As ``hits``, before matches that are not cycle-consistent were dropped.
        candidates: As ``matches``, likewise.
        mass: Sum over queries of the attention that goes to the pair's frames.
        mass_queries: Queries it was summed over.
        peak: Sum over queries of the confidence.
        peak_queries: Queries it was summed over.
    """

    hits: Float[Tensor, "*rows pair"]
    matches: Float[Tensor, "*rows pair"]
    candidate_hits: Float[Tensor, "*rows pair"]
    candidates: Float[Tensor, "*rows pair"]
    mass: Float[Tensor, "*rows pair"]
    mass_queries: Float[Tensor, "*rows pair"]
    peak: Float[Tensor, "*rows pair"]
    peak_queries: Float[Tensor, "*rows pair"]


def scored_pairs(
    truth: PointTruth,
    num_views: int,
    cross_frames: CrossFrames = "same",
) -> Int[Tensor, "b v f q"]:
    """Return the pair (as its place in ``VIEW_PAIRS``) of every query and (view, latent frame), -1 where none counts.

    Within a view all frames but the query's own count; in the other view the query's own moment, or all. Padding counts
    nowhere.

    Args:
        truth: Of the queries.
        num_views: 1 or 2; view 0 is the reference.
        cross_frames: "same" or "all".

    Raises:
        InputError: If there are more views, or ``cross_frames`` is neither.
    """
    if num_views > MAX_VIEWS:
        raise InputError(f"views: got {num_views}, want a reference and at most one target")
    check_word("cross_frames", cross_frames, CrossFrames)
    rule = CountRule(across="all" if cross_frames == "all" else "own_moment")
    counted = entries_of(truth.queries, truth.frame_times, num_views).counted(rule)
    counted = counted & truth.valid[:, None, None]
    return view_pairs(truth.queries[..., 0], num_views).where(counted, -1)


def correspondence_counts(
    match_cells: Int[Tensor, "*rows b v f q 2"],
    mass: Float[Tensor, "*rows b v f q"],
    peak: Float[Tensor, "*rows b v f q"],
    truth: PointTruth,
    stride: int,
    threshold_px: float | int,
    cycle_consistent: Bool[Tensor, "*rows b v f q"] | None = None,
    cross_frames: CrossFrames = "same",
) -> CorrespondenceCounts:
    """Count what one layer's attention at one step finds, or that of several rows at once, such as its heads.

    A match is an entry whose true point is visible there, and hits if the centre of its token lies strictly within
    ``threshold_px``. A query's attention score is the attention it gives to the frames of the pair, seen or not; its
    confidence the mean, over those of them where its point is visible, of the largest attention in the frame.

    Args:
        match_cells: (column, row) of the best token of every view and latent frame.
        mass: Share of the query's attention that each frame gets, out of all tokens there are.
        peak: Largest share that one token of each frame gets.
        truth: Of the queries; one whose point is not seen where it is queried is not valid.
        stride: Pixels a token covers on each side.
        threshold_px: Euclidean distance in pixels.
        cycle_consistent: False where a match does not come home; it is then no match. None = all count.
        cross_frames: Frames of the other view that count: the query's own, or all.

    Raises:
        InputError: If shapes do not fit or an option is unknown.
    """
    rows = "rows " * (match_cells.ndim > MATCH_AXES)
    sizes = check_shape("match_cells", match_cells, f"{rows}b v f q 2")
    reliable = torch.ones_like(mass, dtype=torch.bool) if cycle_consistent is None else cycle_consistent
    for name, value in {"mass": mass, "peak": peak, "cycle_consistent": reliable}.items():
        check_shape(name, value, f"{rows}b v f q", **sizes)
    check_truth(truth, **sizes)
    # Entries that count are picked out once: of two views and many heads they are few.
    pairs = scored_pairs(truth, sizes["v"], cross_frames)
    place = (pairs >= 0).flatten().nonzero()[:, 0]
    pair = _pick(pairs, place)
    seen = _pick(truth.latent_visible(), place)
    cells = match_cells.flatten(-5, -2).index_select(-2, place)
    true_xy = truth.latent_tracks().flatten(-5, -2).index_select(-2, place)
    distance = (cell_centre(cells, stride).double() - true_xy.double()).norm(dim=-1)
    hit = distance < threshold_px
    # Entries lie as b v f q: the row of a query is its clip's, and its place in the last axis.
    query = place // pairs[0].numel() * sizes["q"] + place % sizes["q"]
    num_queries = sizes["b"] * sizes["q"]
    reliable = _pick(reliable, place)
    mass = _pick(mass, place).double()
    peak = _pick(peak, place).double()
    return _counts(pair, query, num_queries, seen, hit, reliable, mass, peak)


def _pick(values: Shaped[Tensor, "*rows b v f q"], place: Int[Tensor, " e"]) -> Shaped[Tensor, "*rows e"]:
    return values.flatten(-4).index_select(-1, place)


def _counts(
    pair: Int[Tensor, " e"],
    query: Int[Tensor, " e"],
    num_queries: int,
    seen: Bool[Tensor, " e"],
    hit: Bool[Tensor, "*rows e"],
    reliable: Bool[Tensor, "*rows e"],
    mass: Float[Tensor, "*rows e"],
    peak: Float[Tensor, "*rows e"],
) -> CorrespondenceCounts:
    """Count entries, each of a pair of views and of a query of the batch."""
    # A query has a place for every pair of views, so that its frames are counted pair by pair.
    asked = query * NUM_PAIRS + pair
    frames_asked = asked.bincount(minlength=num_queries * NUM_PAIRS)
    frames_seen = asked[seen].bincount(minlength=num_queries * NUM_PAIRS)
    confidence = (peak / frames_seen[asked]).where(seen, 0.0)
    values = torch.stack([hit & reliable & seen, reliable & seen, hit & seen, seen.expand(hit.shape)]).double()
    # A product with one-hot pairs: scattered sums of a GPU add in another order every time.
    sums = torch.stack([*values, mass, confidence]) @ one_hot(pair, NUM_PAIRS).double()
    hits, matches, candidate_hits, candidates, mass, peak = sums
    queries = _count_queries(frames_asked).expand_as(hits)
    queries_seen = _count_queries(frames_seen).expand_as(hits)
    return CorrespondenceCounts(hits, matches, candidate_hits, candidates, mass, queries, peak, queries_seen)


def _count_queries(frames: Int[Tensor, " query_pair"]) -> Float[Tensor, " pair"]:
    """Return how many queries have a frame of each pair."""
    return (frames > 0).unflatten(0, (-1, NUM_PAIRS)).sum(dim=0).double()


def frame_mass_and_peak(
    attention: Float[Tensor, "*b l"], token_frames: Int[Tensor, " l"], num_frames: int
) -> tuple[Float[Tensor, "*b f"], Float[Tensor, "*b f"]]:
    """Return the sum and the largest entry that every frame has of stored attention rows (small maps only).

    Args:
        attention: Rows of the softmax over the whole sequence, mean over heads.
        token_frames: Frame that each token belongs to; -1 for tokens that are no video, such as text.
        num_frames: Number of frames.

    Example:
        >>> import torch
        >>> row = torch.tensor([0.1, 0.2, 0.1, 0.5, 0.1])
        >>> mass, peak = frame_mass_and_peak(row, torch.tensor([-1, 0, 0, 1, 1]), num_frames=2)
        >>> mass, peak
        (tensor([0.3000, 0.6000]), tensor([0.2000, 0.5000]))
    """
    own = token_frames == torch.arange(num_frames, device=attention.device)[:, None]
    by_frame = attention.unsqueeze(-2).where(own, 0.0)
    return by_frame.sum(dim=-1), by_frame.amax(dim=-1)


def harmonic_mean(*maps: Float[Tensor, "l s"]) -> Float[Tensor, "l s"]:
    """Return the harmonic mean of maps that were each scaled to [0, 1] by their own least and largest entry.

    A relative score: an entry that is the least of any map gets 0, and two models' scores do not compare. Entries that
    are NaN in any map are NaN. A map without a range says nothing: the whole result is NaN, with a warning unless the
    map has but one entry.

    Example:
        >>> import torch
        >>> accuracy = torch.tensor([[10.0, 20.0], [30.0, 10.0]])
        >>> confidence = torch.tensor([[0.1, 0.2], [0.3, 0.1]])
        >>> attention = torch.tensor([[0.2, 0.4], [0.4, 0.2]])
        >>> harmonic_mean(accuracy, confidence, attention)
        tensor([[0.0000, 0.6000],
                [1.0000, 0.0000]])
    """
    # n / sum of 1 / x, x being (value - least) / range: 1 / x is infinite at the least, which makes the mean 0.
    inverse = torch.zeros_like(maps[0])
    for number, values in enumerate(maps):
        known = values[~values.isnan()]
        if known.unique().numel() < 2:
            if known.numel() > 1:
                warnings.warn(f"map {number} is {float(known[0]):g} everywhere: no harmonic mean", stacklevel=2)
            return torch.full_like(values, torch.nan)
        inverse = inverse + (known.max() - known.min()) / (values - known.min())
    return len(maps) / inverse
