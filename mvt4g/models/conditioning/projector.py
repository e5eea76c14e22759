"""ReCamMaster's projector."""

from torch import nn

from mvt4g.models.conditioning.interface import CameraConditioning, identity_linear
from mvt4g.models.video_dit import VideoDiTConfig


class ProjectorConditioning(CameraConditioning):
    """A Linear behind every self-attention that starts as the identity."""

    name = "projector"
    place = "after_attention"

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return identity_linear(dit.dim)
