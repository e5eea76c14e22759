"""More channels of the latents, which say of every place what is known of it, such as a rendered video and its mask."""

from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import InputError


class LatentChannels(CameraConditioning):
    """Lays ``Conditions.channels`` beside the latents; ``dit.in_channels`` counts them.

    Start from a checkpoint of fewer channels by an ``in_channels`` of its own plus these: they change nothing until
    they are trained.

    Args:
        channels: Of each view.

    Raises:
        InputError: If there is none.
    """

    name = "latent_channels"
    place = "latent_channels"

    def __init__(self, channels: int) -> None:
        if channels < 1:
            raise InputError(f"latent_channels.channels: got {channels}, want at least 1")
        self.channels = channels

    def build_input(self, dit: VideoDiTConfig) -> None:
        """Build nothing: the patch embedding takes them."""
