import colorsys
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvt4g.data.colours import LUMA, JitterSpec, jitter, recolour
from mvt4g.types import InputError
from tests.data.made_up_clips import moving_clip

ONE, ZERO = torch.ones(1, 1), torch.zeros(1, 1)


def test_recolouring_is_the_same_for_all_views_and_known_for_grey():
    video = torch.rand(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    out = recolour(video, np.random.default_rng(0))
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    parts = torch.stack([recolour(view, np.random.default_rng(0)) for view in video])
    torch.testing.assert_close(out, parts, rtol=0, atol=0)
    grey = recolour(torch.full((1, 3, 2, 2), 0.5), np.random.default_rng(1))
    assert 0.35 <= float(grey.min()) <= float(grey.max()) <= 0.6
    assert float(grey.std(dim=(0, 2, 3)).max()) == 0


def a_video(seed=0):
    return 0.3 + 0.4 * torch.rand(2, 3, 3, 5, 6, generator=torch.Generator().manual_seed(seed))


def test_no_jitter_is_no_change():
    torch.testing.assert_close(jitter(a_video(), ONE, ONE, ONE, ZERO), a_video())


def test_each_kind_of_jitter_by_its_definition():
    video = a_video()
    grey = (video * torch.tensor(LUMA)[:, None, None]).sum(dim=2, keepdim=True)
    torch.testing.assert_close(jitter(video, 1.2 * ONE, ONE, ONE, ZERO), 1.2 * video)
    torch.testing.assert_close(jitter(video, ONE, ONE, 0.4 * ONE, ZERO), grey + 0.4 * (video - grey))
    torch.testing.assert_close(jitter(video, ONE, 0.5 * ONE, ONE, ZERO), grey.mean() + 0.5 * (video - grey.mean()))
    per_frame = torch.full((2, 3), 0.5)
    means = grey.mean(dim=(2, 3, 4), keepdim=True)
    torch.testing.assert_close(jitter(video, ONE, per_frame, ONE, ZERO), means + 0.5 * (video - means))


def test_hues_turn_keep_their_luma_and_leave_grey():
    red = torch.tensor([0.7, 0.3, 0.3]).reshape(1, 1, 3, 1, 1)
    third = jitter(red, ONE, ONE, ONE, torch.full((1, 1), 2 * math.pi / 3))
    hue = colorsys.rgb_to_hsv(*third.flatten().tolist())[0]
    assert hue == pytest.approx(1 / 3, abs=1e-5), "red becomes green"
    luma = torch.tensor(LUMA)
    assert float(third.flatten() @ luma) == pytest.approx(float(red.flatten() @ luma), abs=1e-6)
    grey = torch.full((1, 1, 3, 1, 1), 0.4)
    torch.testing.assert_close(jitter(grey, ONE, ONE, ONE, torch.full((1, 1), 1.0)), grey)


@pytest.mark.parametrize(("alike", "different"), [("clip", 1), ("view", 2), ("frame", 6)])
def test_what_shares_a_draw(alike, different):
    clip = moving_clip()
    still = replace(clip, video=torch.full((2, 3, 3, 24, 32), 0.3) * torch.tensor([1.0, 0.8, 1.3])[:, None, None])
    out = JitterSpec(probability=1.0, alike=alike).draw(still, np.random.default_rng(0)).video
    assert len(out.flatten(0, 1).mean(dim=(-2, -1)).unique(dim=0)) == different
    assert torch.equal(still.video[0, 0], still.video[1, 2]), "the input stays"


def test_jitter_comes_as_often_as_asked_for():
    clip, spec = moving_clip(), JitterSpec(probability=0.3)
    jittered = sum(spec.draw(clip, np.random.default_rng(seed)) is not clip for seed in range(400))
    assert abs(jittered - 120) < 3 * math.sqrt(400 * 0.3 * 0.7)


def test_bad_values_are_named():
    with pytest.raises(InputError, match=r"sampling\.augment\.jitter\.probability: got 1\.5, want in \[0, 1\]"):
        JitterSpec(probability=1.5)
    with pytest.raises(InputError, match=r"jitter\.hue_deg: got -1\.0"):
        JitterSpec(hue_deg=-1.0)
