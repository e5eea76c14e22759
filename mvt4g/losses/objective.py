"""A loss on attention taps, as trained systems know it: what it looks at, how much it counts, and what it says.

A system holds a list of objectives and knows none by name. It asks one forward for the union of their layers, weighs
each by its weight, by the noise level of every clip and by the step, and logs what each says of itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.errors import check_finished
from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.step_gate import StepGate
from mvt4g.ranges import NonNegative
from mvt4g.types import AttentionTap, Cameras, InputError, PointTruth, TrackPrediction

Taps = Mapping[int, AttentionTap]
TrackPoints = Callable[[Taps, Float[Tensor, "b q 4"], Cameras], TrackPrediction]
"""Tracks query points (view, frame, x, y) by the tracking head, on the tap of its layer."""


@dataclass(frozen=True)
class LossTerms:
    """What an objective says of every clip.

    Attributes:
        total: What is trained on; exactly 0, with a graph, where ``empty``.
        parts: What it is made of, by name, for the logs; detached.
        counts: How many terms each part is the mean of. A part is logged as the mean over the clips that have a term.
        empty: True where the clip has no term at all.
    """

    total: Float[Tensor, " b"]
    parts: dict[str, Float[Tensor, " b"]]
    counts: dict[str, Float[Tensor, " b"]]
    empty: Bool[Tensor, " b"]

    def check(self, name: str, clips: int) -> None:
        """Check that there is a value for every clip: one of them all would be spread over the gates unseen.

        Args:
            name: Of the objective.
            clips: Of the batch.

        Raises:
            InputError: Naming what has another shape.
        """
        values = {"a total": self.total, "empty": self.empty}
        for part, value in self.parts.items():
            values[f"part {part}"] = value
        for part, value in self.counts.items():
            values[f"a count of {part}"] = value
        for what, value in values.items():
            if tuple(value.shape) != (clips,):
                shape = tuple(value.shape)
                raise InputError(f"objectives.{name}: got {what} of shape {shape}, want ({clips},): one value a clip")
        if self.parts.keys() != self.counts.keys():
            got = f"parts {sorted(self.parts)} and counts {sorted(self.counts)}"
            raise InputError(f"objectives.{name}: got {got}, want a count for every part")


@dataclass(frozen=True)
class TapContext:
    """What a system tells an objective that it builds.

    Attributes:
        layer: Where an objective looks that names no layer: the head's, or that which is read without a head.
        track: The tracking head; None = there is none. Its parameters are the model's.
        track_layer: Whose tap it reads.
        track_rotated: It reads queries and keys after rotary embedding.
    """

    layer: int | None = None
    track: TrackPoints | None = None
    track_layer: int | None = None
    track_rotated: bool = False


class TapObjective(ABC):
    """A loss on the taps of some layers; build one of your own on this class.

    Its first argument is the system's ``TapContext``; all others are its options. It owns no parameters.

    Attributes:
        name: Of its log keys: ``train/loss_<name>``, ``train/empty_<name>``, ``train/loss_<name>/<part>``.
        layers: 0-based blocks whose taps it looks at.
        weight: Of the loss; 0 leaves it out: it is neither computed nor logged.
        gate: How much it counts at each noise level, besides its weight; logged losses are not gated.
        steps: How much it counts over the optimizer steps, besides its weight. Where that is 0 it is left out; what it
            alone trains then has no gradient, which DDP takes with ``find_unused_parameters`` alone.
        rotated: It looks at queries and keys after rotary embedding, as attention does.
    """

    name: ClassVar[str]
    rotated: bool = True

    def __new__(cls, *args: Any, **options: Any) -> "TapObjective":
        """Refuse an unfinished class by one line."""
        check_finished(cls)
        if not isinstance(getattr(cls, "name", None), str):
            raise InputError(f"objectives: got {cls.__name__} without a name, want one for its log keys")
        return super().__new__(cls)

    def __init__(
        self,
        layers: Sequence[int],
        weight: NonNegative = 0.01,
        gate: NoiseGate = NoiseGate(),
        steps: StepGate = StepGate(),
    ) -> None:
        """Say where it looks and how much it counts.

        Raises:
            InputError: If there is no layer, or the weight is negative.
        """
        if not layers:
            raise InputError(f"objectives.{self.name}.layers: got none, want at least one layer")
        # Not the other way round: NaN is refused too.
        if not weight >= 0:
            raise InputError(f"objectives.{self.name}.weight: got {weight}, want at least 0")
        self.layers = tuple(layers)
        self.weight = weight
        self.gate = gate
        self.steps = steps

    def weight_at(self, step: int) -> float:
        """Return the weight at an optimizer step, counted from 0."""
        return self.weight * self.steps(step)

    def at(self, step: int) -> "TapObjective":
        """Return the objective as it is at an optimizer step: itself, unless what it teaches changes over training."""
        return self

    @abstractmethod
    def __call__(self, taps: Taps, truth: PointTruth, cameras: Cameras) -> LossTerms:
        """Return the loss of every clip, a mean over its terms; a clip without terms adds an exact 0.

        Args:
            taps: Of ``layers`` at least.
            truth: Query points of the batch.
            cameras: Of both views, one a video frame.
        """


MakeObjective = Callable[[TapContext], TapObjective]
"""Builds an objective for a system: a class of one with its options."""
