"""No attention map is ever built: not by attention, nor by the loss that reads a tap, forward and backward."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import LatentGrid, TapRequest
from tests.models.small_backbones import make_loud, small_cameras
from tests.truths import truth_of

FRAMES, SIDE, POINTS = 3, 12, 8
TOKENS = 2 * FRAMES * SIDE**2


class Largest(TorchDispatchMode):
    """Remembers the numbers of the largest tensor that any operation gave."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [value.numel() for value in tree_leaves(result) if isinstance(value, torch.Tensor)]
        self.numbers = max([self.numbers, *sizes])
        return result


def largest_tensor():
    torch.manual_seed(0)
    sizes = VideoDiTConfig(dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2)
    backbone = make_loud(ReCamMaster(sizes, LatentGrid(1, 4, 16)))
    target, reference = torch.randn(2, 1, 16, FRAMES, 2 * SIDE, 2 * SIDE).unbind()
    tracks = torch.rand(1, 2, FRAMES, POINTS, 2) * SIDE * 8
    queries = torch.cat([torch.zeros(1, POINTS, 2), tracks[:, 0, 0]], dim=2)
    with Largest() as largest:
        output = backbone(target, reference, torch.tensor([0.5]), small_cameras(1, FRAMES), taps=TapRequest([1]))
        visible = torch.ones(1, 2, FRAMES, POINTS, dtype=torch.bool)
        loss = CorrespondenceLoss()(output.taps, truth_of(queries, tracks, visible))
        (output.velocity.square().mean() + loss.total.mean()).backward()
    assert loss.total.item() > 0
    return largest.numbers


def test_no_tensor_is_as_large_as_a_tenth_of_a_map():
    assert largest_tensor() < TOKENS**2 / 10
    with sdpa_kernel(SDPBackend.MATH):
        assert largest_tensor() >= TOKENS * TOKENS / 2, "a map would be seen (the last block asks for half of it)"
