"""What the package knows of a network that makes novel views: all that a backbone of any family must say."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from mvt4g.models.conditioning.lifted_view import LiftedView
from mvt4g.types import AttentionTap, Cameras, Conditions, InputError, LatentGrid, TapRequest, TapShape


class BackboneOutput(NamedTuple):
    """What a network says of the target's latents, and the taps of the layers asked for.

    The velocity has no frame where nothing was to be predicted.
    """

    velocity: Float[Tensor, "b c f h w"]
    taps: dict[int, AttentionTap]


_MEMBERS = ("grid", "num_layers", "tap_shape")
"""What every system asks a backbone about itself."""


class NovelViewBackbone(nn.Module, ABC):
    """A network that denoises the target view's latents, given the reference's, both views' cameras and conditions.

    Attributes:
        grid: How the latents lie over the video.
        num_layers: Layers of self-attention over both views that can be tapped.
        tap_shape: What their taps look like.
        text_shape: Most tokens of a text, and the width of one.
        image_dim: Width of an image token; None = it looks at no image.
        keeps_blocks: It can let late blocks stand still; ``forward`` then takes ``kept``, a ``KeptBlocks``.
        more_channels: How many channels of ``Conditions.channels`` it takes beside the latents'.
        lifted_view: Gives them, of a reference that is lifted by its depth; None = nothing is lifted.
        made_with: What the file that it started from says of the model around it (``shipped.check_made_with``).
    """

    grid: LatentGrid
    num_layers: int
    tap_shape: TapShape
    text_shape: tuple[int, int]
    image_dim: int | None = None
    keeps_blocks: bool = False
    more_channels: int = 0
    lifted_view: LiftedView | None = None
    made_with: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def encode_cameras(self, cameras: Cameras, frames: int, height: int, width: int) -> Any:
        """Encode cameras once for many calls of ``forward``, which takes the result in their place.

        Args:
            cameras: (b 2 t), view 0 the reference, one a video frame; intrinsics in pixels of the video.
            frames: Latent frames of one view.
            height: Rows of the latents.
            width: Columns of the latents.

        Raises:
            InputError: If the cameras are not those of two views of so many latent frames, or no tokens cover the size.
        """

    def led(self, encoded: Any, cameras: Cameras, way: Any, height: int, width: int) -> Any:
        """Return encoded cameras after which ``forward`` biases attention by a conditioning that was not trained.

        Args:
            encoded: Of ``encode_cameras``.
            cameras: What they were made of.
            way: A ``conditioning.interface.CameraConditioning`` that acts as ``attention_bias``.
            height: Rows of the latents.
            width: Columns of the latents.

        Raises:
            InputError: If the network cannot.
        """
        got = f"some for {type(self).__name__}, whose attention takes no bias"
        raise InputError(f"evaluation.guidance.epipolar: got {got}, want null")

    @abstractmethod
    def forward(
        self,
        target_latents: Float[Tensor, "b c f h w"],
        reference_latents: Float[Tensor, "b c f h w"],
        timestep: Float[Tensor, " b"],
        cameras: Any,
        conditions: Conditions = Conditions(),
        taps: TapRequest = TapRequest(),
    ) -> BackboneOutput:
        """Predict for the noisy target.

        Args:
            target_latents: At noise level ``timestep``.
            reference_latents: Clean.
            timestep: sigma in [0, 1], 1 = pure noise.
            cameras: As ``encode_cameras`` takes them, or what it made of them for latents of this size.
            conditions: What else the network is told.
            taps: Which taps to give.

        Raises:
            InputError: If latents, cameras, conditions and layers do not fit each other or the network.
        """

    def shard_units(self) -> Sequence[nn.Module]:
        """Return the parts (blocks) that ``ModelParallelStrategy`` gathers one by one, besides the whole."""
        return []

    def share_tokens(self, group: ProcessGroup) -> None:
        """Let each rank of ``group``, given the same inputs, compute a share of the tokens; outputs are whole.

        Raises:
            InputError: If the network cannot.
        """
        raise InputError(f"tensor_parallel_size: got over 1 for {type(self).__name__}, which shares no tokens; want 1")

    def freeze_beyond(self, layer: int, rotated: bool) -> None:
        """Freeze what no loss on taps of the layers up to ``layer`` reaches; by default nothing is.

        Args:
            layer: 0-based.
            rotated: Such a loss looks at the last tap as attention does, after rotary embedding.
        """


def check_members(backbone: NovelViewBackbone, *more: str) -> None:
    """Check that a backbone says of itself what a system asks for.

    Args:
        backbone: Built.
        more: What is asked for besides grid, layers and taps.

    Raises:
        InputError: Naming what it lacks.
    """
    lacking = [name for name in (*_MEMBERS, *more) if not hasattr(backbone, name)]
    if lacking:
        want = "all that a NovelViewBackbone says of itself"
        raise InputError(f"backbone: got {type(backbone).__name__} without {', '.join(lacking)}, want {want}")


def check_channels(backbone: NovelViewBackbone) -> None:
    """Check that a lifted view gives all the channels that a backbone takes beside the latents.

    Raises:
        InputError: If some are given by nothing.
    """
    view = backbone.lifted_view
    given = 0 if view is None else view.num_channels(backbone.grid)
    if backbone.more_channels != given:
        want = f"{given}: those of LiftedView alone are supplied"
        raise InputError(f"backbone: got {backbone.more_channels} more channels of the latents, want {want}")


def check_output(
    backbone: nn.Module,
    output: BackboneOutput,
    noisy: Float[Tensor, "b c f h w"],
    taps: TapRequest,
) -> None:
    """Check that a backbone gave what it was asked for.

    Args:
        backbone: For the message.
        output: What it gave.
        noisy: The latents that it was given.
        taps: Those that it was asked for.

    Raises:
        InputError: If the velocity has another shape than the latents, or a tap is missing.
    """
    name = type(backbone).__name__
    if not taps.stop_after and output.velocity.shape != noisy.shape:
        got = tuple(output.velocity.shape)
        raise InputError(f"backbone: got a velocity of shape {got} from {name}, want {tuple(noisy.shape)}")
    # Taps that a reader took are not kept, so that there is nothing to look for.
    lacking = set() if taps.reader is not None else set(taps.layers) - output.taps.keys()
    if lacking:
        raise InputError(f"backbone: got no tap of layer {min(lacking)} from {name}, want one of each layer asked for")
