"""Which pair of views a query point and a frame make, and which such entries a loss or a score counts: one rule.

An entry is one query in one (view, frame). Its pair is named from the view of the query to the view that is looked at;
every view but the reference counts as a target. The entry in the query's own view and frame is its own: there the
answer is given away. What each score counts, an entry being counted where its point is seen as well:

| score                    | own entry | own view     | other view         | why                                   |
| ------------------------ | --------- | ------------ | ------------------ | ------------------------------------- |
| L_corr (``TermRule``)    | no        | all frames   | all frames         | Eq. 20; an option takes the own entry |
| attention PCK            | no        | all frames   | all frames         | measures what L_corr teaches          |
| attention correspondence | no        | all frames   | the query's moment | DiffTrack; views are synchronous      |
| track PCK                | no        | all frames   | all frames         | the head is told where the query is   |
| TAP-Vid "strided"        | no        | all frames   | all frames         | the other view gives nothing away     |
| TAP-Vid "first"          | no        | later frames | from its moment on | the same                              |
| L_track                  | yes       | all frames   | all frames         | CoTracker3: visibility is not told    |

``CountRule`` states a row. A query between two latent frames has no own entry among them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.types import REFERENCE, PointTruth

ViewPair = Literal["ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref"]
VIEW_PAIRS: tuple[ViewPair, ...] = get_args(ViewPair)
"""The query's view, then the view that is looked at."""
KINDS: dict[str, tuple[ViewPair, ...]] = {
    "ref": ("ref_ref",),
    "tgt": ("tgt_tgt",),
    "cross": ("ref_tgt", "tgt_ref"),
}
"""Pairs that scores pool under one name: in time within the reference, within the target, and across the views."""

AcrossFrames = Literal["all", "own_moment"]
FrameSpan = Literal["all", "from_query"]


@dataclass(frozen=True)
class CountRule:
    """Which entries count.

    Attributes:
        own_entry: The query's own view and frame counts.
        across: Frames of the other view that count: all, or that of the query's own moment.
        span: All frames count, or those from the query's on.
    """

    own_entry: bool = False
    across: AcrossFrames = "all"
    span: FrameSpan = "all"


class Entries(NamedTuple):
    """How every entry stands to its query.

    Attributes:
        same_view: It looks at the query's view.
        same_time: It is of the query's moment.
        later: It is of a later moment.
    """

    same_view: Bool[Tensor, "*#b #t q"]
    same_time: Bool[Tensor, "*#b t q"]
    later: Bool[Tensor, "*#b t q"]

    def counted(self, rule: CountRule) -> Bool[Tensor, "*b t q"]:
        """Return the entries that a rule counts, seen or not."""
        own = self.same_view & self.same_time
        counts = ~own if not rule.own_entry else torch.ones_like(own)
        if rule.across == "own_moment":
            counts = counts & (self.same_view | self.same_time)
        if rule.span == "from_query":
            counts = counts & (self.same_time | self.later)
        return counts


def entries_of(
    queries: Float[Tensor, "b q 4"],
    times: Int[Tensor, " t"],
    num_views: int,
) -> Entries:
    """Return how the entries of queries (view, frame, x, y) stand to them, for frames at ``times``."""
    view = rearrange(torch.arange(num_views, device=queries.device), "v -> v 1 1")
    frame = rearrange(times, "t -> t 1")
    query_view = rearrange(queries[..., 0], "b q -> b 1 1 q")
    query_frame = rearrange(queries[..., 1], "b q -> b 1 1 q")
    return Entries(view == query_view, frame == query_frame, frame > query_frame)


def view_pairs(
    query_view: Float[Tensor, "b q"],
    num_views: int,
) -> Int[Tensor, "b v 1 q"]:
    """Return the pair of every query and view, as its place in ``VIEW_PAIRS``."""
    from_reference = rearrange(query_view == REFERENCE, "b q -> b 1 1 q")
    in_reference = rearrange(torch.arange(num_views, device=query_view.device) == REFERENCE, "v -> v 1 1")
    within = torch.where(from_reference, VIEW_PAIRS.index("ref_ref"), VIEW_PAIRS.index("tgt_tgt"))
    across = torch.where(from_reference, VIEW_PAIRS.index("ref_tgt"), VIEW_PAIRS.index("tgt_ref"))
    return torch.where(from_reference == in_reference, within, across)


def of_pairs(
    pair: Int[Tensor, "*shape"],
    names: tuple[ViewPair, ...],
) -> Bool[Tensor, "*shape"]:
    """Return where ``view_pairs`` found one of these pairs."""
    wanted = torch.tensor([VIEW_PAIRS.index(name) for name in names], device=pair.device)
    return torch.isin(pair, wanted)


def seen_by_kind(
    truth: PointTruth,
    rule: CountRule = CountRule(),
) -> dict[str, Bool[Tensor, "b v t q"]]:
    """Return the entries at video frames that count and whose point is seen, by ``KINDS``."""
    views, frames = truth.tracks.shape[1:3]
    times = torch.arange(frames, device=truth.tracks.device)
    counted = entries_of(truth.queries, times, views).counted(rule)
    seen = truth.visible & truth.valid[:, None, None] & counted
    pair = view_pairs(truth.queries[..., 0], views)
    return {kind: seen & of_pairs(pair, pairs) for kind, pairs in KINDS.items()}
