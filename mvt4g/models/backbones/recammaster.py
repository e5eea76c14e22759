"""ReCamMaster."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from mvt4g.models.backbones.joint_views import JointViews
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.conditioning.projector import ProjectorConditioning
from mvt4g.models.conditioning.relative_pose import RelativePoseConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.ranges import Width
from mvt4g.types import LatentGrid


class ReCamMaster(JointViews):
    """ReCamMaster: relative poses into every block and an identity-initialised projector after every self-attention.

    Rotary time runs on from the target's frames to the reference's, as it was trained: the same moment of both views
    is f positions apart.

    Args:
        dit: Sizes of the network.
        grid: How the codec's latents lie over the video.
        extra_conditioning: More ways for cameras to enter, each changing nothing until it is trained.
        null_text_length: Tokens of the learned text that stands in for none.
        weights: Checkpoint of a fit, or a public one, to start from; or a list, overlays after what they go over. What
            it lacks of ``extra_conditioning`` stays at zero. See docs/public_weights.md.

    Raises:
        InputError: If sizes do not go together, or the checkpoint is not this model's.

    Source: ReCamMaster, arXiv 2503.11647, and its released code.
    """

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        extra_conditioning: Sequence[CameraConditioning] = (),
        null_text_length: Width = 8,
        weights: Path | list[Path] | None = None,
    ) -> None:
        # Relative poses enter before attention, the projector sits behind it: the checkpoint's order of modules.
        ways = [RelativePoseConditioning(), *extra_conditioning, ProjectorConditioning()]
        super().__init__(dit, grid, ways, null_text_length)
        self._start_from(weights, extra_conditioning, ("cam_encoder", "projector"))

    def frame_positions(self, num_frames: int, device: torch.device) -> Int[Tensor, " joint_frames"]:
        """Return 0 to 2f - 1."""
        return torch.arange(2 * num_frames, device=device)
