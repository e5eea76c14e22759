"""The prior from one line a token: the same bias as the map, its gradients too, and what it takes at full size."""

import subprocess
import sys

import pytest
import torch

from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.conditioning.epipolar import EpipolarConditioning, EpipolarDistances
from mvt4g.models.conditioning.epipolar_scores import EpipolarLines
from mvt4g.models.layers.attention import _logit_mask
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import Cameras, LatentGrid
from tests.models.small_backbones import (
    GRID,
    ask,
    make_loud,
    relative_difference,
    small_cameras,
    small_config,
    small_inputs,
)

OPTIONS = {"width": 0.7, "initial_gain": 3.0, "heads": [0, 2]}


def cameras_of(one_centre):
    cameras = small_cameras(batch=2, frames=5)
    if one_centre:
        pose = cameras.cam_from_world.clone()
        pose[..., :3, 3] = 0.0  # all centres are the world's origin
        return Cameras(pose, cameras.intrinsics)
    return cameras


def both_biases(cameras, grid=LatentGrid(1, 4, 5), learn=False):
    """Map and score, laid out over all pairs of tokens, of modules with the same gains."""
    config = small_config(num_heads=4)
    given = OPTIONS | {"learn_width": learn}
    found = {}
    for form in ("map", "lines"):
        prior = EpipolarConditioning(form=form, **given)
        features = prior.build_encoder(config, grid)(cameras, 4, 6).flip(1).flatten(1, 2)  # target frames first
        block = prior.build_block(config, 0)
        with torch.no_grad():
            block.gain.copy_(torch.tensor([1.5, -2.0]))
        found[form] = block, block(features)
    gains, bias = found["map"]
    mask = _logit_mask(bias, bias.shape[2])
    lines, score = found["lines"]
    b, k, n = mask.shape[:3]
    places = torch.meshgrid(*(torch.arange(size) for size in (b, k, n, n)), indexing="ij")
    return gains, mask, lines, score(torch.zeros(b, k, n, n), *places)


@pytest.mark.parametrize("one_centre", [False, True])
@pytest.mark.parametrize("learn", [False, True])
def test_bias_and_gradients_equal_the_map_s(one_centre, learn):
    gains, mask, lines, scored = both_biases(cameras_of(one_centre), learn=learn)
    assert mask.abs().max() > 0.5
    torch.testing.assert_close(scored, mask, rtol=1e-3, atol=1e-4)
    assert relative_difference(scored, mask) < 1e-5
    weights = torch.randn(mask.shape, generator=torch.Generator().manual_seed(0))
    (mask * weights).sum().backward()
    (scored * weights).sum().backward()
    owned = dict(gains.named_parameters())
    assert owned.keys() == dict(lines.named_parameters()).keys()
    for name, value in lines.named_parameters():
        torch.testing.assert_close(value.grad, owned[name].grad, rtol=1e-4, atol=1e-4)
        assert value.grad.abs().min() > 1e-3


@torch.no_grad()
def test_flex_attention_with_it_equals_attention_with_the_map():
    inputs, outputs = small_inputs(), {}
    for form in ("map", "lines"):
        torch.manual_seed(0)
        prior = EpipolarConditioning(form=form, initial_gain=4.0)
        backbone = make_loud(ReCamMaster(small_config(), GRID, [prior], null_text_length=3)).eval()
        outputs[form] = ask(backbone, **inputs).velocity
        for block in backbone.dit.blocks:
            block.epipolar.gain.zero_()
        outputs[f"{form}, gains 0"] = ask(backbone, **inputs).velocity
    assert relative_difference(outputs["lines"], outputs["map"]) < 1e-4
    assert relative_difference(outputs["lines"], outputs["lines, gains 0"]) > 1e-3


def test_a_state_of_one_form_is_one_of_the_other():
    states = [
        ReCamMaster(small_config(), GRID, [EpipolarConditioning(form=form)], null_text_length=3).state_dict().keys()
        for form in ("map", "lines")
    ]
    assert states[0] == states[1]


FLEX = """
import torch
from torch.nn.attention.flex_attention import flex_attention
from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.models.layers.attention import _attend_by_score
from tests.models.small_backbones import small_cameras, small_config
from mvt4g.types import LatentGrid

torch.manual_seed(0)
prior = EpipolarConditioning(form="lines", initial_gain=3.0)
known = prior.build_encoder(small_config(), LatentGrid(1, 4, 5))(small_cameras(batch=2, frames=5), 4, 6)
score = prior.build_block(small_config(), 0)(known.flip(1).flatten(1, 2))
query, key, value = torch.randn(3, 2, 10, 2, 3, small_config().num_heads, 8)
with torch.no_grad():
    got = flex_attention(*(part.flatten(1, 3).transpose(1, 2) for part in (query, key, value)), score_mod=score)
    want = _attend_by_score(query, key, value, score)
    without = _attend_by_score(query, key, value, lambda logit, *places: logit)
got = got.transpose(1, 2).flatten(2).reshape(want.shape)
torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
assert (got - without).abs().max() > 0.01
"""


@pytest.mark.slow
def test_pytorch_s_own_flex_attention_takes_it():
    """In a process of its own: it traces the function, and the shapes that are checked here cannot be traced."""
    finished = subprocess.run([sys.executable, "-c", FLEX], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]


def test_at_65_520_tokens_it_stores_two_megabytes_where_the_map_would_hold_gigabytes():
    """81 frames of 480x832 in Wan's latents, on the meta device: shapes and bytes, nothing is run."""
    grid, config = LatentGrid(4, 8, 16), VideoDiTConfig.wan_1_3b()
    with torch.device("meta"):
        cameras = Cameras(torch.empty(1, 2, 81, 4, 4), torch.empty(1, 2, 81, 3, 3))
        lines = EpipolarLines(grid, 2)(cameras, 60, 104)
        squared = EpipolarDistances(grid, 2)(cameras, 60, 104)
        prior = EpipolarConditioning(form="lines")
        block = prior.build_block(config, 0)
        assert callable(block(lines.flip(1).flatten(1, 2)))
    tokens = lines[..., 0].numel()
    assert tokens == 65_520
    assert lines.numel() * lines.element_size() == 65_520 * 8 * 4
    assert squared.numel() * squared.element_size() == 65_520 * 1_560 * 4  # the map before heads: 0.4 GB
    assert config.num_heads * tokens**2 * 2 > 100e9  # as an additive mask over all keys, bf16
