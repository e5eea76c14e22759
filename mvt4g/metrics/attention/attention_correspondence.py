"""Where correspondence lives: a map (layer x step) of how well attention matches the true tracks."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torchmetrics import Metric

from mvt4g.matching.pairs import VIEW_PAIRS
from mvt4g.metrics.compute_groups import keep_apart
from mvt4g.metrics.functional.attention_correspondence import (
    NUM_PAIRS,
    PANELS,
    CorrespondenceCounts,
    CrossFrames,
    correspondence_counts,
    harmonic_mean,
)
from mvt4g.ranges import check_word
from mvt4g.types import InputError, PointTruth


class AttentionCorrespondence(Metric):
    """Matching accuracy, attention score, confidence and their harmonic mean, by layer, step and pair of views.

    Panels are ``ref`` and ``tgt`` (other frames of the query's own view), ``cross`` (the other view), and
    ``cross_ref_to_tgt`` and ``cross_tgt_to_ref``, named from the query's view to the keys'. ``compute`` returns maps
    (layer x step), NaN where nothing was counted, under ``<panel>/<score>``:

    - ``matching_accuracy``: share of matches whose token's centre lies strictly within ``threshold_px`` of the truth;
    - ``attention_score``: share of a query's attention that goes to the panel's frames;
    - ``confidence``: largest share of one token, mean over the panel's frames in which the point is visible;
    - ``harmonic_mean`` of the three, each scaled to [0, 1] over its map after all batches and ranks are pooled: it
      says where a model's correspondence peaks and compares with no other model's. Needs two entries that differ;
    - ``reliable_share``: share of matches that are cycle-consistent, the only ones ``matching_accuracy`` looks at;
    - ``accuracy_of_all``: matching accuracy of all of them;
    - ``num_matches``: how many those are.

    Accuracy is a mean over matches, the others are means over queries.

    Args:
        layers: 0-based layers that ``update`` is called for, the rows of the maps.
        num_steps: Denoising steps or noise levels, the columns.
        threshold_px: Of matching accuracy; DiffTrack's is 8 at 480x720, half a token.
        cross_frames: Frames of the other view that count: "same", the query's own, or "all".

    Raises:
        InputError: If an argument is none of those.

    Example:
        >>> import torch
        >>> from mvt4g.types import PointTruth
        >>> truth = PointTruth(
        ...     queries=torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), tracks=torch.tensor([[[[[5.0, 5.0]], [[41.0, 25.0]]]]]),
        ...     visible=torch.ones(1, 1, 2, 1, dtype=torch.bool), valid=torch.ones(1, 1, dtype=torch.bool),
        ...     frame_times=torch.tensor([0, 1]), image_size=(64, 64),
        ... )
        >>> metric = AttentionCorrespondence(layers=(3,), num_steps=1, threshold_px=8.0)
        >>> metric.update(
        ...     layer=3, step=0,
        ...     match_cells=torch.tensor([[[[[0, 0]], [[2, 1]]]]]),  # one view, two frames, one query
        ...     mass=torch.tensor([[[[0.4], [0.6]]]]), peak=torch.tensor([[[[0.3], [0.5]]]]),
        ...     truth=truth, stride=16,
        ... )
        >>> maps = metric.compute()
        >>> [float(maps[f"ref/{name}"]) for name in ("matching_accuracy", "num_matches")]
        [1.0, 1.0]

    Source: DiffTrack (Nam et al., arXiv 2506.17220), its definitions without its code's mistakes; panels and the
    cycle-consistency check of MVTrack4Gen (arXiv 2606.26087).
    """

    full_state_update = False
    key = "attention_correspondence"
    higher_is_better = True
    is_differentiable = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(
        self,
        layers: tuple[int, ...],
        num_steps: int,
        threshold_px: float | int,
        cross_frames: CrossFrames = "same",
    ) -> None:
        super().__init__()
        if not layers or num_steps < 1:
            raise InputError(f"layers, num_steps: got {layers}, {num_steps}, want at least one of each")
        if not threshold_px > 0:
            raise InputError(f"threshold_px: got {threshold_px}, want a positive number of pixels")
        check_word("cross_frames", cross_frames, CrossFrames)
        self.layers = tuple(layers)
        self.num_steps = num_steps
        self.threshold_px = threshold_px
        self.cross_frames: CrossFrames = cross_frames
        empty = torch.zeros(NUM_PAIRS, len(layers), num_steps, dtype=torch.float64)
        for name in CorrespondenceCounts._fields:
            self.add_state(name, empty.clone(), dist_reduce_fx="sum")
        keep_apart(self)

    def update(
        self,
        layer: int | tuple[int, ...],
        step: int,
        match_cells: Int[Tensor, "*rows b v f q 2"],
        mass: Float[Tensor, "*rows b v f q"],
        peak: Float[Tensor, "*rows b v f q"],
        truth: PointTruth,
        stride: int,
        cycle_consistent: Bool[Tensor, "*rows b v f q"] | None = None,
    ) -> None:
        """Add what one layer's attention finds at one step.

        ``match_cells`` are of ``matching.rows.argmax_matches``, ``mass`` and ``peak`` of ``frame_attention``,
        ``cycle_consistent`` of the function of that name.

        Args:
            layer: 0-based layer; or several, when what is found has a leading axis of as many.
            step: Index of the step.
            match_cells: As all others in ``functional.attention_correspondence.correspondence_counts``.

        Raises:
            InputError: If the layer or the step is not one of this metric's, or shapes do not fit.
        """
        several = layer if isinstance(layer, tuple) else (layer,)
        for one in several:
            if one not in self.layers:
                raise InputError(f"layer: got {one}, want one of {self.layers}")
        if not 0 <= step < self.num_steps:
            raise InputError(f"step: got {step}, want 0 to {self.num_steps - 1}")
        counts = correspondence_counts(
            match_cells, mass, peak, truth, stride, self.threshold_px, cycle_consistent, self.cross_frames
        )
        # Counts of one layer have no axis of rows; those of a tuple, even of one, do.
        wanted = (len(layer), NUM_PAIRS) if isinstance(layer, tuple) else (NUM_PAIRS,)
        if counts.hits.shape != wanted:
            raise InputError(f"match_cells: got shape {tuple(match_cells.shape)}, want what {layer} found")
        rows = torch.tensor([self.layers.index(one) for one in several], device=counts.hits.device)
        for name, value in counts._asdict().items():
            getattr(self, name)[:, rows, step] += value.reshape(-1, NUM_PAIRS).T

    def compute(self) -> dict[str, Shaped[Tensor, "layers ..."]]:
        """Return the maps (layer x step) of every panel."""
        maps: dict[str, Tensor] = {}
        for panel, pairs in PANELS.items():
            rows = [VIEW_PAIRS.index(pair) for pair in pairs]
            sums = [getattr(self, name)[rows].sum(dim=0) for name in CorrespondenceCounts._fields]
            total = CorrespondenceCounts(*sums)
            accuracy = total.hits / total.matches
            attention = total.mass / total.mass_queries
            confidence = total.peak / total.peak_queries
            maps[f"{panel}/matching_accuracy"] = accuracy
            maps[f"{panel}/attention_score"] = attention
            maps[f"{panel}/confidence"] = confidence
            maps[f"{panel}/harmonic_mean"] = harmonic_mean(accuracy, attention, confidence)
            maps[f"{panel}/reliable_share"] = total.matches / total.candidates
            maps[f"{panel}/accuracy_of_all"] = total.candidate_hits / total.candidates
            maps[f"{panel}/num_matches"] = total.matches
        return maps
