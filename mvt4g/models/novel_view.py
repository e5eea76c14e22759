"""The whole model: codec, backbone, diffusion process, tracking head; reference video in, novel view and tracks out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.diffusion.flow_matching import FlowMatching, velocity_target
from mvt4g.diffusion.samplers import Sampler
from mvt4g.models.backbone import BackboneOutput, NovelViewBackbone, check_output
from mvt4g.models.block_taps import KeptBlocks
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.epipolar_guidance import EpipolarGuidance
from mvt4g.models.shipped import check_made_with
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.types import (
    REFERENCE,
    TARGET,
    AttentionTap,
    Cameras,
    Conditions,
    InputError,
    TapRequest,
    TrackPrediction,
)


@dataclass(frozen=True)
class NoisyPass:
    """One forward on noised target latents.

    Attributes:
        velocity: Predicted; no frame where taps alone were asked for.
        target: What the velocity should be: noise minus clean latents.
        sigma: Noise level of each clip.
        taps: Of the layers asked for.
    """

    velocity: Float[Tensor, "b c _ h w"]
    target: Float[Tensor, "b c f h w"]
    sigma: Float[Tensor, " b"]
    taps: dict[int, AttentionTap]


@dataclass(frozen=True)
class Generation:
    """A sampled target view.

    Attributes:
        latents: Clean.
        taps: Of the layers asked for without a reader.
    """

    latents: Float[Tensor, "b c f h w"]
    taps: dict[int, AttentionTap]


@dataclass(frozen=True)
class SamplingGuidance:
    """How much sampling is led: away from another text, and to epipolar lines.

    Attributes:
        scale: 1 = not at all, at one pass an evaluation; above, the velocity is extrapolated, at two.
        negative: The other text; None = the learned null text.
        low: Least sigma at which it is.
        high: Largest one.
        epipolar: Leads attention between the views; None = not at all.
    """

    scale: float = 1.0
    negative: Float[Tensor, "b negative_l text_d"] | None = None
    low: float = 0.0
    high: float = 1.0
    epipolar: EpipolarGuidance | None = None

    def acts(self, sigma: Float[Tensor, " b"]) -> bool:
        """Return whether the text changes anything at a noise level, the same for all clips."""
        # Settled without a look at sigma, which would wait for the device.
        everywhere = (self.low, self.high) == (0, 1)
        return self.scale != 1 and (everywhere or self.low <= float(sigma[0]) <= self.high)


class NovelViewModel(nn.Module):
    """Reference video and target cameras in, novel view and tracks out; knows no loss and no trainer.

    Raises:
        InputError: If codec and backbone disagree on the latents, the backbone's weights were trained with another
            codec or prediction, or the head's layer does not exist.
    """

    def __init__(
        self,
        backbone: NovelViewBackbone,
        codec: Codec,
        flow: FlowMatching,
        tracking_head: TrackingHead | None = None,
    ) -> None:
        super().__init__()
        if codec.grid != backbone.grid:
            raise InputError(f"backbone.grid: got {backbone.grid}, want the codec's {codec.grid}")
        if "codec" in backbone.made_with:
            here = {"codec": codec.identity, "prediction": flow.prediction}
            check_made_with(backbone.made_with, here, "backbone.weights")
        self.backbone = backbone
        self.codec = codec
        self.flow = flow
        self.tracking_head = tracking_head
        self.lifted_view = backbone.lifted_view
        self.codec.requires_grad_(False)
        if tracking_head is not None:
            self.check_layers("tracking_head.layer", [tracking_head.layer])

    def check_layers(self, name: str, layers: Sequence[int]) -> None:
        """Check that the backbone has these layers.

        Raises:
            InputError: Naming ``name``, the layer and how many there are.
        """
        for layer in layers:
            if not 0 <= layer < self.backbone.num_layers:
                raise InputError(f"{name}: got layer {layer}, want 0 to {self.backbone.num_layers - 1}")

    def noisy_pass(
        self,
        latents: Float[Tensor, "b v c f h w"],
        cameras: Cameras,
        sigma: Float[Tensor, " b"],
        noise: Float[Tensor, "b c f h w"],
        conditions: Conditions = Conditions(),
        taps: TapRequest = TapRequest(),
    ) -> NoisyPass:
        """Noise the target's latents and run the backbone on them; the reference's stay clean.

        Args:
            latents: Of both views.
            cameras: Of both views, one per video frame.
            sigma: Noise level, 1 = pure noise.
            noise: Unit noise.
            conditions: What else the network is told.
            taps: Which taps to give; with ``stop_after`` the velocity has no frame.
        """
        clean = latents[:, TARGET]
        reference = latents[:, REFERENCE]
        noisy = self.flow.add_noise(clean, noise, sigma)
        output = self._run(noisy, reference, sigma, cameras, conditions, taps)
        return NoisyPass(output.velocity, velocity_target(clean, noise), sigma, output.taps)

    @torch.no_grad()
    def generate(
        self,
        reference_latents: Float[Tensor, "b c f h w"],
        cameras: Cameras,
        noise: Float[Tensor, "b c f h w"],
        sampler: Sampler,
        conditions: Conditions = Conditions(),
        guidance: SamplingGuidance = SamplingGuidance(),
        taps: Mapping[int, TapRequest] | None = None,
    ) -> Generation:
        """Sample the target view from ``noise``.

        Args:
            reference_latents: Clean.
            cameras: Of both views, one per video frame.
            noise: Unit noise.
            sampler: Goes from noise to latents, and says which evaluations run the late blocks.
            conditions: What else the network is told.
            guidance: Leads away from another text, nothing without a text; and attention to epipolar lines.
            taps: By sampling step, from 0, or from the last, -1, backwards. A step's taps are those of its first
                evaluation, with guidance those of the pass with text.

        Raises:
            InputError: If there is no such step, the sampler asks for no velocity in it, its sample is none, or the
                backbone has no such late blocks.
        """
        sigmas = sampler.sigmas(self.flow).to(noise.device)
        num_steps = len(sigmas) - 1
        for step in taps or {}:
            if not -num_steps <= step < num_steps:
                raise InputError(f"taps: got step {step}, want {-num_steps} to {num_steps - 1}")
        waiting = {step % num_steps: request for step, request in (taps or {}).items()}
        found: dict[int, AttentionTap] = {}
        cameras_at = self._encoded_cameras(cameras, guidance.epipolar, noise.shape[2:])
        away = replace(conditions, text=guidance.negative)
        # The passes with and without text differ, and so does what their late blocks add.
        kept = self._kept_blocks(sampler)
        kept_away = self._kept_blocks(sampler)

        def velocity(
            noisy: Float[Tensor, "b c f h w"],
            sigma: Float[Tensor, " b"],
            step: int,
        ) -> Float[Tensor, "b c f h w"]:
            # A step's request is taken by its first evaluation: later ones of the step find none.
            asked = waiting.pop(step, TapRequest())
            encoded = cameras_at(sigma)
            output = self._run(noisy, reference_latents, sigma, encoded, conditions, asked, kept)
            found.update(output.taps)
            if conditions.text is None or not guidance.acts(sigma):
                return output.velocity
            unguided = self._run(noisy, reference_latents, sigma, encoded, away, TapRequest(), kept_away)
            # lerp beyond 1 extrapolates: unguided + scale * (guided - unguided).
            return torch.lerp(unguided.velocity, output.velocity, guidance.scale)

        sample = sampler.run(velocity, noise, sigmas)
        if waiting:
            name = type(sampler).__name__
            raise InputError(f"sampler: got no evaluation of {name} in step {min(waiting)}, want one for its taps")
        return Generation(sample, found)

    def track(
        self,
        taps: Mapping[int, AttentionTap],
        queries: Float[Tensor, "b q 4"],
        cameras: Cameras,
    ) -> TrackPrediction:
        """Track query points (view, frame, x, y) in pixels on the tap of the head's layer.

        Args:
            taps: Of a forward that was asked for the head's layer.
            queries: Pixels of the video.
            cameras: Of both views, one per video frame.
        """
        assert self.tracking_head is not None, "callers check that there is a head"
        return self.tracking_head(taps[self.tracking_head.layer], queries, cameras)

    def _run(
        self,
        noisy: Float[Tensor, "b c f h w"],
        reference: Float[Tensor, "b c f h w"],
        sigma: Float[Tensor, " b"],
        cameras: Any,
        conditions: Conditions,
        taps: TapRequest,
        kept: KeptBlocks | None = None,
    ) -> BackboneOutput:
        """Run the backbone, told of noise as the flow says; what it predicts comes back as a velocity."""
        if self.lifted_view is not None and self.lifted_view.reference == "hidden":
            reference = torch.zeros_like(reference)
        options = {}
        # A backbone that keeps no blocks need not know of them.
        if kept is not None:
            kept.begin(whole=bool(taps.layers))
            options["kept"] = kept
        output = self.backbone(noisy, reference, self.flow.timestep(sigma), cameras, conditions, taps, **options)
        check_output(self.backbone, output, noisy, taps)
        if taps.stop_after:
            return BackboneOutput(output.velocity, output.taps)
        return BackboneOutput(self.flow.velocity(output.velocity, noisy, sigma), output.taps)

    def _encoded_cameras(
        self,
        cameras: Cameras,
        lines: EpipolarGuidance | None,
        size: Sequence[int],
    ) -> Callable[[Float[Tensor, " b"]], Any]:
        """Return encoded cameras by noise level, made once for a whole sampling.

        Args:
            cameras: Of both views.
            lines: What attention is led to; None = nothing.
            size: Frames, rows and columns of the latents.
        """
        encoded = self.backbone.encode_cameras(cameras, *size)
        if lines is None or not lines.strength:
            return lambda _: encoded
        led = self.backbone.led(encoded, cameras, lines.conditioning(), *size[1:])
        return lambda sigma: led if lines.acts(sigma) else encoded

    def _kept_blocks(self, sampler: Sampler) -> KeptBlocks | None:
        """Return what keeps late blocks of one pass of one sampling; None = all run in all evaluations.

        Raises:
            InputError: If the backbone has no such blocks.
        """
        if sampler.reuse is None:
            return None
        if not self.backbone.keeps_blocks:
            got = f"some for {type(self.backbone).__name__}, which keeps no blocks"
            raise InputError(f"evaluation.reuse: got {got}, want null")
        first = sampler.reuse.first
        if first >= self.backbone.num_layers:
            raise InputError(f"evaluation.reuse.first: got {first}, want 1 to {self.backbone.num_layers - 1}")
        return KeptBlocks(sampler.reuse)
