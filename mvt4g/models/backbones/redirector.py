"""ReDirector."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from mvt4g.models.backbones.joint_views import JointViews
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.conditioning.plucker import packed_channels
from mvt4g.models.conditioning.rotary import QueryKeyPhase, ValueOutputPhase
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.ranges import Width
from mvt4g.types import InputError, LatentGrid

PHASES = (QueryKeyPhase.name, ValueOutputPhase.name)


class ReDirector(JointViews):
    """ReDirector: packed rays of both views beside the tokens, and as phases of every self-attention.

    The rays pass the control adapter of its base, Wan2.1-Fun-Control-Camera. What comes out is added to the tokens and
    turns queries, keys and values (rotary camera encoding). Both views share their rotary times, so that the same
    moment has the same place in both, and a clip may be as long as one likes. Of the channels that the base has beyond
    the latents', for a first frame to go on from, none is used.

    Args:
        dit: With ``control_channels``, and ``image_dim`` for the base's image tokens.
        grid: How the codec's latents lie over the video.
        extra_conditioning: More ways for cameras to enter, each changing nothing until it is trained.
        null_text_length: Tokens of the learned text that stands in for none.
        weights: Checkpoint of a fit, or a public one, to start from; or a list, overlays after what they go over. What
            it lacks of ``extra_conditioning`` stays at zero. See docs/public_weights.md.

    Raises:
        InputError: If sizes do not go together, or the checkpoint is not this model's.

    Source: ReDirector, arXiv 2511.19827, and its released code.
    """

    def __init__(
        self,
        dit: VideoDiTConfig,
        grid: LatentGrid,
        extra_conditioning: Sequence[CameraConditioning] = (),
        null_text_length: Width = 8,
        weights: Path | list[Path] | None = None,
    ) -> None:
        if dit.control_channels is None:
            raise InputError(f"dit.control_channels: got null, want {packed_channels(grid)}, those of the packed rays")
        ways = [*extra_conditioning, QueryKeyPhase(), ValueOutputPhase()]
        super().__init__(dit, grid, ways, null_text_length)
        self._start_from(weights, extra_conditioning, PHASES)

    def frame_positions(self, num_frames: int, device: torch.device) -> Int[Tensor, " joint_frames"]:
        """Return 0 to f - 1 twice."""
        return torch.arange(num_frames, device=device).repeat(2)
