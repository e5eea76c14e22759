import subprocess
import sys

import pytest

SCRIPT = """
import torch
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import DiTBlock, VideoDiTConfig

block = DiTBlock(VideoDiTConfig.nano())
angles = rotary_angles(24, torch.arange(4), 2, 2)[None, :, :, :, None]
inputs = torch.randn(2, 4, 2, 2, 96), torch.randn(2, 6, 96), torch.randn(2, 8, 96), angles, {}
compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
for frames in (None, 2):
    torch.testing.assert_close(compiled(*inputs, frames)[0], block(*inputs, frames)[0])
compiled(*inputs)[0].sum().backward()
"""


@pytest.mark.slow
def test_a_block_compiles_without_graph_breaks():
    """In a process of its own: the jaxtyping hook breaks torch.compile."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
