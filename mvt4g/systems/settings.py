"""What a training step and an evaluation do, as values that a config file states."""

from dataclasses import dataclass

from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.losses.step_gate import StepGate
from mvt4g.models.condition_dropout import ConditionDropout
from mvt4g.models.layers.lora import LoRASpec
from mvt4g.systems.guidance import GuidanceSpec
from mvt4g.systems.video_metrics import VideoMetricsSpec
from mvt4g.types import InputError


@dataclass(frozen=True)
class TrainingSpec:
    """What one training step draws and how its terms are weighed.

    Attributes:
        weight_track: Weight of L_track; 0 leaves the tracking head out of the step.
        weight_corr: Weight of L_corr; 0 leaves it out of the step.
        track_gate: How much L_track counts at each noise level, besides its weight; logged losses are not gated.
        corr_gate: The same of L_corr.
        track_steps: How much L_track counts over the optimizer steps, besides its weight. A step where a loss counts 0
            leaves it out, as a weight of 0 does: neither computed nor logged; the head's parameters then have no
            gradient, which DDP takes with ``find_unused_parameters`` alone.
        corr_steps: The same of L_corr.
        num_queries: Query points drawn a clip.
        warmup_steps: Optimizer steps over which the learning rate rises linearly from 0.
        decay_steps: Step at which a cosine brings the learning rate to 0; None keeps it constant.
        trainable: Parts of the names of the parameters that train (``*`` for any characters), the rest being frozen;
            None = all of backbone and head.
        lora: Low-rank adapters on Linears of the backbone, whose own weights are then frozen; None = no adapters.
        condition_dropout: What is hidden from the network, drawn apart from everything else.
        seed: Of every draw in ``training_step``, together with step, micro-batch and rank.
    """

    weight_track: float = 0.01
    weight_corr: float = 0.01
    track_gate: NoiseGate = NoiseGate()
    corr_gate: NoiseGate = NoiseGate()
    track_steps: StepGate = StepGate()
    corr_steps: StepGate = StepGate()
    num_queries: int = 32
    warmup_steps: int = 0
    decay_steps: int | None = None
    trainable: tuple[str, ...] | None = None
    lora: LoRASpec | None = None
    condition_dropout: ConditionDropout = ConditionDropout()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        for name, least in (("weight_track", 0), ("weight_corr", 0), ("num_queries", 1), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"training.{name}: got {getattr(self, name)}, want at least {least}")
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            raise InputError(
                f"training.decay_steps: got {self.decay_steps}, want more than warmup_steps = {self.warmup_steps}"
            )
        if self.lora is not None and self.trainable is None:
            raise InputError("training.trainable: got null with lora, want what trains, such as [lora_, tracking_head]")


@dataclass(frozen=True)
class EvaluationSpec:
    """What validation and test measure.

    Attributes:
        noise_levels: Sigmas at which attention, tracks and loss are read on noised ground truth.
        headline: The one of them that is shown first.
        attention_layers: Layers whose attention is scored, besides that of the headline (the head's, or without a head
            the first of L_corr's); None = all.
        num_queries: Query points drawn a clip.
        pck_threshold_px: Of track PCK, in pixels of the input video.
        sample_steps: Euler steps of the sampler; 0 = no sampling, so no scores of generated video.
        sample_in_validation: Sample in validation too, not in test alone.
        guidance: Which texts and images sampling follows, and how much.
        videos: How generated videos are scored, in validation (when it samples) and in test.
        camera_shift: Give every clip the target cameras of the clip so many places before it in its batch: the control
            that shows whether cameras matter. 0 = its own.
        seed: Of noise and queries, together with the clip's name.
    """

    noise_levels: tuple[float, ...] = (0.25, 0.5, 0.75)
    headline: float = 0.5
    attention_layers: tuple[int, ...] | None = None
    num_queries: int = 64
    pck_threshold_px: float = 2.0
    sample_steps: int = 8
    sample_in_validation: bool = True
    guidance: GuidanceSpec = GuidanceSpec()
    videos: VideoMetricsSpec = VideoMetricsSpec()
    camera_shift: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        in_range = all(0 < level < 1 for level in self.noise_levels)
        named_apart = len({round(level, 2) for level in self.noise_levels}) == len(self.noise_levels)
        if not (self.noise_levels and in_range and named_apart):
            want = "sigmas in (0, 1) that differ in their first two decimals, by which scores are named"
            raise InputError(f"evaluation.noise_levels: got {self.noise_levels}, want {want}")
        if self.headline not in self.noise_levels:
            raise InputError(f"evaluation.headline: got {self.headline}, want one of {self.noise_levels}")
        for name, least in (("num_queries", 1), ("sample_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"evaluation.{name}: got {getattr(self, name)}, want at least {least}")
