"""ReCamMaster's conditioning: twelve numbers of relative pose a latent frame."""

from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.pose import invert_pose, relative_to
from mvt4g.models.conditioning.interface import CameraConditioning, zero_linear
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, TARGET, Cameras, LatentGrid


class RelativePoseEncoder(nn.Module):
    """Rows of ``[R | t]`` of the target's cameras in the frame of the reference's first camera, for both views alike.

    That the reference's tokens get the target's poses, and that intrinsics and the reference's own path are not told,
    is how ReCamMaster was trained.
    """

    def __init__(self, temporal_stride: int) -> None:
        super().__init__()
        self.temporal_stride = temporal_stride

    def forward(self, cameras: Cameras, height: int, width: int) -> Float[Tensor, "b 2 f 1 1 12"]:
        """Return the poses at latent frames, translations in scene units; the latents' size plays no part."""
        world_from_cam = invert_pose(cameras.cam_from_world.float())
        at_latents = world_from_cam[:, TARGET, :: self.temporal_stride]
        reference_from_target = relative_to(at_latents, world_from_cam[:, REFERENCE, 0])
        rows = rearrange(reference_from_target[..., :3, :], "b f i j -> b f (i j)")
        return repeat(rows, "b f c -> b 2 f 1 1 c")


class RelativePoseConditioning(CameraConditioning):
    """The encoder above and ReCamMaster's ``cam_encoder``, a Linear(12, width) in every block."""

    name = "cam_encoder"

    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module:
        """Build what all blocks share: no parameters."""
        return RelativePoseEncoder(grid.temporal_stride)

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return zero_linear(12, dit.dim)
