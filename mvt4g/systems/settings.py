"""What a training step does, as values that a config file states."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import nn
from torch.optim import Optimizer

from mvt4g.inference.lifted_pairs import CameraMoves, PairKind
from mvt4g.inference.lifting.reference_depth import ReferenceDepthSpec
from mvt4g.models.condition_dropout import ConditionDropout
from mvt4g.models.layers.lora import LoRASpec
from mvt4g.ranges import Count, Natural, Points, Seed, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class StepSpec:
    """What a training step of any trained system draws, and what it trains.

    Attributes:
        num_queries: Query points drawn a clip.
        optimizer: Builds the optimizer from the parameters that train.
        warmup_steps: Optimizer steps over which the learning rate rises linearly from 0.
        decay_steps: Step at which a cosine brings the learning rate to 0; None keeps it constant.
        trainable: Parts of the names of the parameters that train (``*`` for any characters), the rest being frozen;
            None = all of backbone and head.
        lora: Low-rank adapters on Linears of the backbone, whose own weights are then frozen; None = no adapters.
        condition_dropout: What is hidden from the network, drawn apart from everything else.
        seed: Of every draw in ``training_step``, together with step, micro-batch and rank.
    """

    option: ClassVar[str] = "training"
    """What the spec is called where it is given."""

    num_queries: Points = 32
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.AdamW
    warmup_steps: Natural = 0
    decay_steps: Count | None = None
    trainable: tuple[str, ...] | None = None
    lora: LoRASpec | None = None
    condition_dropout: ConditionDropout = ConditionDropout()
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, self.option)
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            want = f"more than warmup_steps = {self.warmup_steps}"
            raise InputError(f"{self.option}.decay_steps: got {self.decay_steps}, want {want}")
        if self.lora is not None and self.trainable is None:
            want = "what trains, such as [lora_, tracking_head]"
            raise InputError(f"{self.option}.trainable: got null with lora, want {want}")


@dataclass(frozen=True)
class LiftedTraining:
    """What a step of joint training shows of clips with depth.

    Attributes:
        pairs: Kinds of pairs, of which each clip's is drawn evenly (``inference.lifted_pairs.PairKind``); one that
            stands twice is drawn twice as often. All but "views" are made of the reference alone.
        moves: Of the moved cameras that pairs of one video are made by.
        depth: Where the depth of references comes from, and how it is damaged, at every step anew.
    """

    pairs: tuple[PairKind, ...] = ("views",)
    moves: CameraMoves = CameraMoves()
    depth: ReferenceDepthSpec = ReferenceDepthSpec()

    def __post_init__(self) -> None:
        """Check that there is a kind, and that all are known.

        Raises:
            InputError: If there is none, or one is unknown.
        """
        known = get_args(PairKind)
        if not self.pairs or not set(self.pairs) <= set(known):
            want = f"at least one of {', '.join(known)}"
            raise InputError(f"training.lifted.pairs: got {list(self.pairs)}, want {want}")

    @property
    def from_one_video(self) -> bool:
        """Whether some pairs are made of one video."""
        return set(self.pairs) != {"views"}


@dataclass(frozen=True)
class TrainingSpec(StepSpec):
    """What a step of joint training draws and trains: as ``StepSpec``.

    Attributes:
        lifted: What clips with depth are shown as.
    """

    lifted: LiftedTraining = LiftedTraining()


@dataclass(frozen=True)
class TrackerTraining(StepSpec):
    """What a step of the tracker's training draws and trains: as ``StepSpec``, at low noise.

    Attributes:
        sigmas: Lowest and highest noise level; each clip's is drawn evenly between them.
    """

    option: ClassVar[str] = "tracker_training"

    num_queries: Points = 64
    sigmas: tuple[Share, Share] = (0.0, 0.25)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        super().__post_init__()
        low, high = self.sigmas
        if not 0 <= low <= high <= 1:
            raise InputError(f"tracker_training.sigmas: got {self.sigmas}, want [lowest, highest] in [0, 1]")
