import subprocess
import sys

import pytest

SCRIPT = """
import torch
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.video_dit import BlockInputs, VideoDiTConfig
from mvt4g.types import LatentGrid

grid = LatentGrid(1, 4, 16)
redirector = VideoDiTConfig(dim=48, num_heads=2, num_layers=1, control_channels=96, image_dim=9)
angles = rotary_angles(24, torch.arange(4), 2, 2)[None, :, :, :, None]
for backbone in (ReCamMaster(VideoDiTConfig.nano(), grid, [PluckerConditioning()]), ReDirector(redirector, grid)):
    block, dim = backbone.dit.blocks[0], backbone.dit.config.dim
    tokens, features = torch.randn(2, 4, 2, 2, dim), torch.randn(2, 4, 2, 2, dim)
    cameras = {"cam_encoder": torch.randn(2, 4, 1, 1, 12), "plucker": features, "control": features}
    image = torch.randn(2, 3, dim) if backbone.dit.config.image_dim else None
    inputs = tokens, BlockInputs(torch.randn(2, 6, dim), torch.randn(2, 8, dim), angles, cameras, image)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    for frames in (None, 2):
        for got, want in zip(compiled(*inputs, frames)[1], block(*inputs, frames)[1]):
            torch.testing.assert_close(got, want)
        torch.testing.assert_close(compiled(*inputs, frames)[0], block(*inputs, frames)[0])
    compiled(*inputs, None)[0].sum().backward()
"""


@pytest.mark.slow
def test_a_block_compiles_without_graph_breaks():
    """In a process of its own: the jaxtyping hook breaks torch.compile."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
