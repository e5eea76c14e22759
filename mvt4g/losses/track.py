"""L_track: position, visibility and confidence of every refinement iteration of the tracking head."""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.objective import LossTerms, TapContext, TapObjective, Taps
from mvt4g.losses.step_gate import StepGate
from mvt4g.ranges import NonNegative
from mvt4g.types import Cameras, InputError, PointTruth, TrackPrediction

REFERENCE_WIDTH = 512
"""Width in pixels of the images that the constants below belong to."""
VISIBLE_WEIGHT = 0.05
OCCLUDED_WEIGHT = 0.01
ITERATION_DISCOUNT = 0.8
HUBER_DELTA = 6.0
CONFIDENT_WITHIN = 12.0
OCCLUDED_MARGIN = 1.0
"""In image widths: an occluded point farther outside than this from x in [0, W] or from y in [0, W] is left out of the
occluded term (behind a camera, a true position may be at any distance)."""


@dataclass(frozen=True)
class TrackTerms:
    """L_track of every clip; the four terms carry their weights, so they add up to the total.

    Attributes:
        total: Exactly 0 where ``empty``.
        position: Huber, points that are seen.
        occluded_position: L1, points that are not.
        visibility: Binary cross-entropy, all points.
        confidence: Binary cross-entropy where a point is seen, 0 where it is not; mean over all points.
        empty: True where the clip has no valid point.
    """

    total: Float[Tensor, " b"]
    position: Float[Tensor, " b"]
    occluded_position: Float[Tensor, " b"]
    visibility: Float[Tensor, " b"]
    confidence: Float[Tensor, " b"]
    empty: Bool[Tensor, " b"]


class TrackLoss(nn.Module):
    """Sequence loss over the head's iterations, errors in pixels of a 512 wide image.

    The two position terms are means over the entries (view, frame, point) that they are about. The two cross-entropies
    are means over all entries of valid points: as in CoTracker3 and MV-TAP, an entry that is not seen adds 0 to the
    confidence term and counts in its divisor. The query's own (view, frame) is a term like any other: the head is told
    its position, not that it is visible.

    Source: MVTrack4Gen (arXiv 2606.26087), Eqs. 18-19; constants of CoTracker3 (``train_on_kubric.py``, ``losses.py``).
    """

    def forward(self, prediction: TrackPrediction, truth: PointTruth) -> TrackTerms:
        """Return the loss of every clip, in fp32 or wider.

        Args:
            prediction: At latent frames.
            truth: Of the same queries; a position that is not finite does not count.
        """
        target_tracks = truth.latent_tracks()
        target_visible = truth.latent_visible()
        image_width = truth.image_size[1]
        scale = REFERENCE_WIDTH / image_width
        real = rearrange(truth.valid, "b q -> b 1 1 q").expand_as(target_visible)
        seen = real & target_visible & torch.isfinite(target_tracks).all(dim=-1)
        hidden = real & ~target_visible & _near_image(target_tracks, image_width)
        kept = rearrange(seen | hidden, "b v f q -> b v f q 1")
        predicted = prediction.tracks.to(torch.promote_types(prediction.tracks.dtype, torch.float32))
        # Masked before subtracting: an infinite target that does not count must not reach the gradient as 0 * inf.
        target = torch.where(kept, target_tracks.to(predicted.dtype), predicted.detach())
        error = (predicted - target) * scale
        nothing = torch.zeros_like(error)
        huber = F.huber_loss(error, nothing, reduction="none", delta=HUBER_DELTA).mean(dim=-1)
        confident = (error.detach().norm(dim=-1) < CONFIDENT_WITHIN).to(error.dtype)
        visible = target_visible.to(error.dtype).expand_as(prediction.visible_logit)
        position = VISIBLE_WEIGHT * _discounted(_clip_mean(huber, seen))
        absolute = error.abs().mean(dim=-1)
        occluded = OCCLUDED_WEIGHT * _discounted(_clip_mean(absolute, hidden))
        visibility = _clip_mean(_cross_entropy(prediction.visible_logit, visible), real).mean(dim=0)
        confidence_entropy = _cross_entropy(prediction.confidence_logit, confident) * seen.to(error.dtype)
        confidence = _clip_mean(confidence_entropy, real).mean(dim=0)
        total = position + occluded + visibility + confidence
        return TrackTerms(total, position, occluded, visibility, confidence, ~truth.valid.any(dim=-1))


class TrackObjective(TapObjective):
    """L_track as a trained system's objective, by the model's own tracking head; its parts are the four terms.

    Args:
        context: The system's; it must have a head.
        weight: Of the loss.
        gate: By noise level.
        steps: By optimizer step.

    Raises:
        InputError: If there is no head.
    """

    name = "track"

    def __init__(
        self,
        context: TapContext,
        weight: NonNegative = 0.01,
        gate: NoiseGate = NoiseGate(),
        steps: StepGate = StepGate(),
    ) -> None:
        if context.track is None or context.track_layer is None:
            raise InputError("objectives: got a TrackObjective without tracking_head, want one, or no such objective")
        super().__init__((context.track_layer,), weight, gate, steps)
        self.track = context.track
        self.rotated = context.track_rotated
        self.loss = TrackLoss()

    def __call__(self, taps: Taps, truth: PointTruth, cameras: Cameras) -> LossTerms:
        """Return the loss of every clip; one without a valid point counts in the means of the parts, as 0."""
        terms: TrackTerms = self.loss(self.track(taps, truth.queries, cameras), truth)
        parts = {}
        counts = {}
        for name in ("position", "occluded_position", "visibility", "confidence"):
            parts[name] = getattr(terms, name).detach()
            # One term a clip: a clip without a valid point counts in the means, as 0.
            counts[name] = torch.ones_like(parts[name])
        return LossTerms(terms.total, parts, counts, terms.empty)


def _near_image(
    tracks: Float[Tensor, "b v f q 2"],
    image_width: int,
) -> Bool[Tensor, "b v f q"]:
    """Where positions are within the margin; False for NaN."""
    low = -OCCLUDED_MARGIN * image_width
    high = (1 + OCCLUDED_MARGIN) * image_width
    return ((tracks >= low) & (tracks <= high)).all(dim=-1)


def _cross_entropy(
    logit: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    return F.binary_cross_entropy_with_logits(logit.to(target.dtype), target, reduction="none")


def _clip_mean(
    values: Float[Tensor, "i b v f q"],
    chosen: Bool[Tensor, "b v f q"],
) -> Float[Tensor, "i b"]:
    """Mean over the chosen entries of each clip, exactly 0 (with a graph) where there are none."""
    total = reduce(torch.where(chosen, values, torch.zeros_like(values)), "i b v f q -> i b", "sum")
    return total / reduce(chosen.to(values.dtype), "b v f q -> b", "sum").clamp(min=1)


def _discounted(per_iteration: Float[Tensor, "i b"]) -> Float[Tensor, " b"]:
    """1/I times the sum over iterations i of 0.8^(I-1-i) times the value: the last counts in full."""
    exponent = torch.arange(len(per_iteration) - 1, -1, -1, device=per_iteration.device)
    weight = torch.pow(ITERATION_DISCOUNT, exponent.to(per_iteration.dtype))
    return (weight[:, None] * per_iteration).mean(dim=0)
