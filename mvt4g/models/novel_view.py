"""The whole model: codec, backbone, diffusion process, tracking head; reference video in, novel view and tracks out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mvt4g.diffusion.flow_matching import FlowMatching, velocity_target
from mvt4g.diffusion.sampler import sample
from mvt4g.models.backbones import Backbone, BackboneOutput, EncodedCameras
from mvt4g.models.codec import Codec
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Cameras, InputError, TapReader, TrackPrediction


@dataclass(frozen=True)
class NoisyPass:
    """One forward on noised target latents.

    Attributes:
        velocity: Predicted.
        target: What the velocity should be: noise minus clean latents.
        sigma: Noise level of each clip.
        taps: Of the layers asked for.
    """

    velocity: Float[Tensor, "b c f h w"]
    target: Float[Tensor, "b c f h w"]
    sigma: Float[Tensor, " b"]
    taps: dict[int, AttentionTap]


@dataclass(frozen=True)
class Generation:
    """A sampled target view.

    Attributes:
        latents: Clean.
        taps: Of the layers asked for, at the last sampling step.
    """

    latents: Float[Tensor, "b c f h w"]
    taps: dict[int, AttentionTap]


class NovelViewModel(nn.Module):
    """Reference video and target cameras in, novel view and tracks out; knows no loss and no trainer.

    Raises:
        InputError: If codec and backbone disagree on the latents, or the head's layer does not exist.
    """

    def __init__(
        self, backbone: Backbone, codec: Codec, flow: FlowMatching, tracking_head: TrackingHead | None = None
    ) -> None:
        super().__init__()
        if codec.grid != backbone.grid:
            raise InputError(f"backbone.grid: got {backbone.grid}, want the codec's {codec.grid}")
        self.backbone, self.codec, self.flow, self.tracking_head = backbone, codec, flow, tracking_head
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
        tap_layers: Sequence[int] = (),
        read_tap: TapReader | None = None,
        text: Float[Tensor, "b l text_d"] | None = None,
        image: Float[Tensor, "b i image_d"] | None = None,
        drop_text: Bool[Tensor, " b"] | None = None,
    ) -> NoisyPass:
        """Noise the target's latents and run the backbone on them; the reference's stay clean.

        Args:
            latents: Of both views.
            cameras: Of both views, one per video frame.
            sigma: Noise level, 1 = pure noise.
            noise: Unit noise.
            tap_layers: Layers whose queries and keys to return.
            read_tap: Takes them one by one instead, as soon as each layer has run.
            text: None = the learned null text.
            image: Tokens of the reference's first frame, for a network that looks at them.
            drop_text: Clips that get the null text whatever ``text`` says.
        """
        noisy = self.flow.add_noise(latents[:, TARGET], noise, sigma)
        output = self._velocity(
            noisy, latents[:, REFERENCE], sigma, cameras, tap_layers, text, image, read_tap, drop_text
        )
        return NoisyPass(output.velocity, velocity_target(latents[:, TARGET], noise), sigma, output.taps)

    def noisy_taps(
        self,
        latents: Float[Tensor, "b v c f h w"],
        cameras: Cameras,
        sigma: Float[Tensor, " b"],
        noise: Float[Tensor, "b c f h w"],
        tap_layers: Sequence[int],
        text: Float[Tensor, "b l text_d"] | None = None,
        image: Float[Tensor, "b i image_d"] | None = None,
        drop_text: Bool[Tensor, " b"] | None = None,
    ) -> dict[int, AttentionTap]:
        """Return the taps of ``noisy_pass``, at the cost of the blocks up to the last of them."""
        noisy, told = self.flow.add_noise(latents[:, TARGET], noise, sigma), self.flow.timestep(sigma)
        taps: dict[int, AttentionTap] = self.backbone(
            noisy, latents[:, REFERENCE], told, cameras, text, tap_layers, None, image, drop_text, predict=False
        ).taps
        return taps

    @torch.no_grad()
    def generate(
        self,
        reference_latents: Float[Tensor, "b c f h w"],
        cameras: Cameras,
        noise: Float[Tensor, "b c f h w"],
        num_steps: int,
        tap_layers: Sequence[int] = (),
        text: Float[Tensor, "b l text_d"] | None = None,
        guidance_scale: float = 1.0,
        tap_readers: Mapping[int, TapReader] | None = None,
        image: Float[Tensor, "b i image_d"] | None = None,
        negative_text: Float[Tensor, "b negative_l text_d"] | None = None,
    ) -> Generation:
        """Sample the target view from ``noise`` in ``num_steps`` Euler steps.

        Args:
            reference_latents: Clean.
            cameras: Of both views, one per video frame.
            noise: Unit noise.
            num_steps: At least 1.
            tap_layers: Layers whose queries and keys to return, as the last step saw them.
            text: None = the learned null text.
            guidance_scale: Strengthens the text against ``negative_text``; 1 = no guidance. Nothing without text.
            tap_readers: By step, from 0: take the taps of that step one by one, as soon as each layer has run. Steps
                without a reader are not tapped, and no tap is returned then. With guidance, of the pass with text.
            image: As in ``noisy_pass``; guidance leads away from the text alone.
            negative_text: None = the learned null text.
        """
        sigmas = self.flow.sampling_sigmas(num_steps).to(noise.device)
        taps: dict[int, AttentionTap] = {}
        encoded = self.backbone.encode_cameras(cameras, *noise.shape[2:])

        steps = iter(range(num_steps))

        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            step = next(steps)
            reader = None if tap_readers is None else tap_readers.get(step)
            tapped = step == num_steps - 1 if tap_readers is None else reader is not None
            asked = tap_layers if tapped else ()
            output = self._velocity(noisy, reference_latents, sigma, encoded, asked, text, image, reader)
            taps.update(output.taps)
            return output.velocity

        def without_text(noisy: Tensor, sigma: Tensor) -> Tensor:
            return self._velocity(noisy, reference_latents, sigma, encoded, (), negative_text, image).velocity

        unconditional = None if text is None else without_text
        return Generation(sample(velocity, noise, sigmas, unconditional, guidance_scale), taps)

    def track(
        self, taps: Mapping[int, AttentionTap], queries: Float[Tensor, "b q 4"], cameras: Cameras
    ) -> TrackPrediction:
        """Track query points (view, frame, x, y) in pixels on the tap of the head's layer.

        Args:
            taps: Of a forward that was asked for the head's layer.
            queries: Pixels of the video.
            cameras: Of both views, one per video frame.
        """
        assert self.tracking_head is not None, "callers check that there is a head"
        return self.tracking_head(taps[self.tracking_head.layer], queries, cameras)

    def _velocity(
        self,
        noisy: Float[Tensor, "b c f h w"],
        reference: Float[Tensor, "b c f h w"],
        sigma: Float[Tensor, " b"],
        cameras: Cameras | EncodedCameras,
        tap_layers: Sequence[int],
        text: Float[Tensor, "b l text_d"] | None = None,
        image: Float[Tensor, "b i image_d"] | None = None,
        read_tap: TapReader | None = None,
        drop_text: Bool[Tensor, " b"] | None = None,
    ) -> BackboneOutput:
        told = self.flow.timestep(sigma)
        output = self.backbone(noisy, reference, told, cameras, text, tap_layers, read_tap, image, drop_text)
        return BackboneOutput(self.flow.velocity(output.velocity, noisy, sigma), output.taps)
