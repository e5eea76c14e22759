"""ReDirector's conditioning: camera features turn queries, keys and values, head by head, like positions do."""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.layers.rope import axis_dims
from mvt4g.models.video_dit import VideoDiTConfig


class CameraPhase(nn.Sequential):
    """Camera features to one angle a head for every feature pair that rotates with height or width.

    Pairs that rotate with time are not turned. It starts at zero.

    Source: ReDirector (arXiv 2511.19827), rotary camera encoding, and its released code.
    """

    def __init__(self, camera_dim: int, num_heads: int, head_dim: int) -> None:
        time, rows, columns = axis_dims(head_dim)
        linear = nn.Linear(camera_dim, num_heads * (rows + columns) // 2, bias=False)
        nn.init.zeros_(linear.weight)
        super().__init__(nn.SiLU(), linear)
        self.num_heads = num_heads
        self.time_pairs = time // 2

    def forward(self, camera: Float[Tensor, "b f h w c"]) -> Float[Tensor, "b f h w k half_d"]:
        """Return radians, fp32."""
        phase = super().forward(camera).float()
        phase = rearrange(phase, "b f h w (k d) -> b f h w k d", k=self.num_heads)
        # Pairs of time come first in a head, and are not turned.
        return F.pad(phase, (self.time_pairs, 0))


class QueryKeyPhase(CameraConditioning):
    """Turns queries and keys, on top of where they sit."""

    name = "rope_phase_qk"
    place = "attention_phase"

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return CameraPhase(dit.dim, dit.num_heads, dit.head_dim)


class ValueOutputPhase(CameraConditioning):
    """Turns values by minus its angles, and the output by those of the token that asked."""

    name = "rope_phase_vo"
    place = "attention_phase"

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return CameraPhase(dit.dim, dit.num_heads, dit.head_dim)
