"""The training-free baseline: depth of every kind, its damage, and what the warped video is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mvt4g.geometry.depth_damage import damage_depth, parse_damage
from mvt4g.geometry.hole_filling import fill_holes
from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.geometry.rendering import render_mesh, render_points
from mvt4g.inference.lifting.reference_depth import ReferenceDepth, ReferenceDepthSpec
from mvt4g.inference.lifting.video_warper import VideoWarper
from mvt4g.inference.noise import generator_for, name_key
from mvt4g.models.depth_model import DepthPrediction
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError, MultiViewClip

SIZE = (32, 48)


@pytest.fixture(scope="module")
def clip() -> MultiViewClip:
    return generate_clip(SceneSpec(image_size=SIZE, num_views=2, num_frames=2), 0, 0)


@pytest.mark.parametrize("surface", ["points", "mesh"])
def test_true_depth_shows_what_the_renderer_shows_and_fills_the_rest(clip, surface):
    found = VideoWarper(ReferenceDepth(), LiftingSpec(surface), "diffuse")(clip)
    renderer = {"points": render_points, "mesh": render_mesh}[surface]
    views = clip.cameras[REFERENCE], clip.cameras[TARGET]
    seen = renderer(clip.video[REFERENCE], clip.depth[REFERENCE], *views, SIZE)
    assert torch.equal(found.mask, seen.mask)
    assert not bool(found.mask.all())
    assert torch.equal(found.image, fill_holes(seen.image, seen.mask, "diffuse"))
    error = (found.image - clip.video[TARGET]).abs().mean(dim=1)[found.mask].mean()
    unmoved = (clip.video[REFERENCE] - clip.video[TARGET]).abs().mean(dim=1)[found.mask].mean()
    assert error < 0.6 * unmoved


def test_what_stands_still_is_gathered_by_the_clip_s_own_masks(clip):
    own = VideoWarper(holes="black")(clip)
    gathered = VideoWarper(lifting=LiftingSpec(accumulate=True), holes="black")(clip)
    assert int(gathered.mask.sum()) > int(own.mask.sum())
    with pytest.raises(InputError, match=f"{clip.name}: lifting.accumulate: got true without masks"):
        VideoWarper(lifting=LiftingSpec(accumulate=True))(replace(clip, dynamic=None))


def test_damage_follows_the_seed_and_the_name_alone(clip):
    damaged = ReferenceDepth(ReferenceDepthSpec(damage=("noise:5", "moving:30")))
    depth = damaged(clip, 3)
    generator = generator_for(3, name_key(clip.name))
    wanted = damage_depth(
        clip.depth[REFERENCE], parse_damage(["noise:5", "moving:30"]), generator, clip.dynamic[REFERENCE]
    )
    assert torch.equal(depth, wanted)
    assert not torch.equal(damaged(clip, 4), depth)
    assert not torch.equal(damaged(replace(clip, name="another"), 3), depth)
    with pytest.raises(InputError, match=f"{clip.name}: damage: got moving:30 for a clip without masks"):
        damaged(replace(clip, dynamic=None))


def test_a_plane_stands_at_the_distance_asked_for_or_by_the_cameras_way(clip):
    ways = torch.tensor([[0.0, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    poses = torch.eye(4).repeat(2, 2, 1, 1)
    poses[TARGET, :, :3, 3] = ways
    still = replace(clip, cameras=Cameras(poses, clip.cameras.intrinsics))
    assert ReferenceDepth(ReferenceDepthSpec("plane", distance=7.0))(still).unique().tolist() == pytest.approx([7.0])
    assert ReferenceDepth(ReferenceDepthSpec("plane"))(still).unique().tolist() == pytest.approx([2.0])
    far = Cameras(torch.eye(4).repeat(2, 2, 1, 1), clip.cameras.intrinsics)
    assert float(ReferenceDepth(ReferenceDepthSpec("plane"))(replace(clip, cameras=far)).max()) == 1.0


@pytest.mark.parametrize("is_metric", [False, True])
def test_a_network_s_depth_has_its_own_unit_or_the_one_asked_for(clip, is_metric, monkeypatch):
    answer = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0)) + 1
    answer[0, 0, 0], answer[0, 0, 1] = 0.0, torch.nan
    answer = answer * 3

    def network(frames):
        assert torch.equal(frames, clip.video[REFERENCE])
        return DepthPrediction(answer, is_metric=is_metric)

    spec = ReferenceDepthSpec("model", Path("network"), distance=10.0)
    depth = ReferenceDepth(spec, network)(clip)
    known = answer.isfinite() & (answer > 0)
    assert torch.equal(depth > 0, known)
    assert float(depth[known].median()) == pytest.approx(float(answer[known].median()) if is_metric else 10.0)
    assert (depth / answer)[known].std() < 1e-6, "one factor for all frames"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "model"}, "depth.model: got None with kind model, want a folder"),
        ({"model": Path("x")}, "depth.model: got x with kind clip, want null"),
        ({"distance": 2.0}, "depth.distance: got 2 with kind clip, want null"),
        ({"damage": ("fog:1",)}, "damage: got 'fog:1'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ReferenceDepthSpec(**options)


def test_a_clip_without_depth_says_what_would_do(clip):
    with pytest.raises(InputError, match=rf"{clip.name}: got no depth .* want a file of it \(camera\.depth\)"):
        VideoWarper()(replace(clip, depth=None))
