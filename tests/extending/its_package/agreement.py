"""A loss on taps: what a point's token asks for should be alike in the two views."""

from einops import rearrange
from torch.nn.functional import cosine_similarity

from mvt4g.losses.objective import LossTerms, TapContext, TapObjective
from mvt4g.matching.rows import gather_queries
from mvt4g.types import REFERENCE, TARGET


class Agreement(TapObjective):
    """One minus the cosine between the query features of a point in both views, where it is seen in both."""

    name = "agreement"
    rotated = False

    def __init__(self, context: TapContext, weight: float = 0.01) -> None:
        super().__init__((context.layer,), weight)

    def __call__(self, taps, truth, cameras) -> LossTerms:
        tap, frame = taps[self.layers[0]], truth.queries[..., 1].long()
        at_query = rearrange(frame, "b q -> b 1 q")
        features, seen = [], truth.valid
        for view in (REFERENCE, TARGET):
            there = truth.tracks[:, view].take_along_dim(at_query[..., None], dim=1)[:, 0]
            asked = truth.queries.clone()
            asked[..., 0], asked[..., 2:] = view, there
            features.append(gather_queries(tap, asked, rotate=False).flatten(2))
            seen = seen & truth.visible[:, view].take_along_dim(at_query, dim=1)[:, 0]
        apart = (1 - cosine_similarity(*features, dim=-1)) * seen
        count = seen.sum(dim=1).to(apart.dtype)
        total = apart.sum(dim=1) / count.clamp(min=1)
        return LossTerms(total, {"seen_in_both": total.detach()}, {"seen_in_both": count}, count == 0)
