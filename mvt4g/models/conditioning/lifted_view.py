"""What explicit lifting tells a model: the reference, lifted by its depth and rendered from the target's cameras.

GEN3C (arXiv 2503.03751) and TrajectoryCrafter (arXiv 2503.05638) lay the latents of such a rendering and its mask
beside those that are denoised. Here they are more channels of the latents, as those of ``latent_channels``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mvt4g.geometry.lifted_video import LiftingSpec, render_lifted
from mvt4g.geometry.rendering import Rendering
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, TARGET, InputError, LatentGrid, MultiViewClip

ReferenceTokens = Literal["kept", "hidden"]
LIFTED_VIEW = "lifted_view"
"""Where a checkpoint says what lifted view its weights were trained on."""


class LiftedView(CameraConditioning):
    """How the reference is lifted by its depth and what the network is shown of it.

    The channels of the target's tokens are those of the codec for the rendered video, holes black, and then
    ``temporal_stride`` of its mask: the share of every latent cell that is covered, a video frame of the latent frame
    each. The reference's own are zero, since its latents are there. ``dit.in_channels`` counts them all.

    Args:
        lifting: How the reference is lifted and rendered. With ``edge_filter`` a camera at the reference's place has
            holes on depth edges.
        reference: "kept": the network sees the reference beside its rendering, as TrajectoryCrafter does. "hidden": its
            latents are zero, so that all it knows of the source is the rendering, as in GEN3C and CogNVS; the tokens
            stay, so that taps have both views.
    """

    name = "lifted_view"
    place = "latent_channels"

    def __init__(self, lifting: LiftingSpec = LiftingSpec(), reference: ReferenceTokens = "kept") -> None:
        self.lifting = lifting
        self.reference = reference

    def build_input(self, dit: VideoDiTConfig) -> None:
        """Build nothing: the patch embedding takes the channels."""

    def num_channels(self, grid: LatentGrid) -> int:
        """Return how many channels it has beside the latents."""
        return grid.channels + grid.temporal_stride

    def settings(self) -> dict[str, str]:
        """Return what a checkpoint says of it, since shapes do not: plain values by name."""
        told = {"reference": str(self.reference)}
        for name, value in asdict(self.lifting).items():
            told[f"lifting.{name}"] = str(value)
        return told

    def render(self, clip: MultiViewClip, depth: Float[Tensor, "b t h w"]) -> Rendering:
        """Render the reference of a batch of clips from the target's cameras.

        Args:
            clip: With a batch axis; of the views' videos the reference's alone is looked at.
            depth: Of the reference, scene units; 0 or non-finite = none.

        Raises:
            InputError: If frames are to be accumulated and nobody says what moves.
        """
        renderings = []
        for index in range(len(depth)):
            source = clip.cameras[index, REFERENCE]
            target = clip.cameras[index, TARGET]
            dynamic = None if clip.dynamic is None else clip.dynamic[index, REFERENCE]
            video = clip.video[index, REFERENCE]
            renderings.append(render_lifted(video, depth[index], source, target, self.lifting, dynamic))
        return stack_renderings(renderings)

    def encode(self, codec: Codec, rendering: Rendering) -> Float[Tensor, "b 2 c f h w"]:
        """Return the channels of both views: those of the reference are zero.

        Args:
            codec: Of the latents.
            rendering: Of the target (b t).
        """
        latents = codec.encode(rendering.image)
        share = covered_share(rendering.mask, codec.grid).to(latents.dtype)
        of_target = torch.cat([latents, share], dim=1)
        return torch.stack([torch.zeros_like(of_target), of_target], dim=1)


def covered_share(mask: Bool[Tensor, "b t h w"], grid: LatentGrid) -> Float[Tensor, "b s_t f lh lw"]:
    """Return which share of every latent cell is covered, a channel for each video frame of a latent frame.

    The first frame, which has a latent of its own, counts as often as a later latent has frames: the layout of the mask
    in Wan2.1's image-to-video network.
    """
    stride = grid.temporal_stride
    repeated = torch.cat([mask[:, :1].expand(-1, stride - 1, -1, -1), mask], dim=1)
    share = avg_pool2d(repeated.float(), grid.spatial_stride)
    return rearrange(share, "b (f s) h w -> b s f h w", s=stride)


def stack_renderings(renderings: Sequence[Rendering]) -> Rendering:
    """Return several renderings of one size with a batch axis."""
    return Rendering(
        torch.stack([each.image for each in renderings]),
        torch.stack([each.mask for each in renderings]),
        torch.stack([each.depth for each in renderings]),
    )


def check_lifted_view(checkpoint: Mapping[str, Any], here: LiftedView | None, what: str) -> None:
    """Check that weights are used with the lifted view that they were trained on.

    Args:
        checkpoint: Of a fit; one that says nothing was trained without.
        here: Of this model.
        what: The option or file, for messages.

    Raises:
        InputError: Naming the first setting that differs.
    """
    trained = checkpoint.get(LIFTED_VIEW)
    wanted = None if here is None else here.settings()
    if trained == wanted:
        return
    if trained is None or wanted is None:
        told = "without a lifted view" if trained is None else "with a lifted view"
        want = "a model without LiftedView" if trained is None else "LiftedView in the model's extra_conditioning"
        raise InputError(f"{what}: got weights trained {told}, want {want}")
    for name, value in wanted.items():
        # A setting that is younger than the checkpoint is not compared.
        got = trained.get(name, value) if isinstance(trained, dict) else None
        if got != value:
            raise InputError(f"{what}: got weights trained with lifted_view.{name} {got}, want {value}, this model's")
