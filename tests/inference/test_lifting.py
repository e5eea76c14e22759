"""Two views lifted into one scene, against the truth of a rendered clip; what cannot be lifted is named."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mvt4g.formats.clip_cache import write_clip
from mvt4g.formats.foreign.depth_files import ViewDepth
from mvt4g.formats.scene4d import Scene4D, read_scene4d, write_scene4d
from mvt4g.geometry.pose import transform_points
from mvt4g.inference.lifting.alignment import align_depths
from mvt4g.inference.lifting.depth_choice import ChosenDepth, DepthSpec, choose_depth
from mvt4g.inference.lifting.lift_input import GivenTracks, LiftInput, read_lift_input
from mvt4g.inference.lifting.lifted_tracks import lift_tracks
from mvt4g.inference.lifting.scene import LiftSpec, lift_scene
from mvt4g.models.depth_model import DepthPrediction
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import Cameras, InputError


def lift_input(scene: SceneSpec, folder: Path, index: int = 0) -> LiftInput:
    write_clip(folder / "clip.npz", generate_clip(scene, 0, index))
    return read_lift_input(folder / "clip.npz")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> LiftInput:
    spec = SceneSpec(image_size=(64, 96), num_views=2, num_frames=3)
    return lift_input(spec, tmp_path_factory.mktemp("clip"))


def saved(scene: Scene4D, folder: Path) -> Scene4D:
    write_scene4d(folder / "scene4d.npz", scene)
    return read_scene4d(folder / "scene4d.npz")


def track_errors(scene: Scene4D, source: LiftInput) -> torch.Tensor:
    """Return distances from the true points as a share of their depth, of all visible points of both views."""
    depth = transform_points(scene.reference.cameras.cam_from_world[:, None], source.true_tracks.world)[..., 2]
    return ((scene.tracks.world - source.true_tracks.world).norm(dim=-1) / depth)[scene.tracks.visible]


def test_true_depth_lifts_tracks_where_they_are(source, tmp_path):
    lifted = lift_scene(source, choose_depth(source, "true", DepthSpec()))
    scene = saved(lifted.scene, tmp_path)
    errors = track_errors(scene, source)
    assert errors.median() < 1e-3
    assert errors.quantile(0.95) < 5e-3
    assert scene.alignment.tolist() == [[1, 0], [1, 0]]
    assert scene.alignment_residual.isnan().all()
    assert torch.equal(scene.tracks.lifted, scene.tracks.visible)
    assert "% of depth apart, median of" in lifted.sentences[-1]


def wrong_depth(source: LiftInput, scale: float, shift: float) -> ChosenDepth:
    """Return true depth whose inverse is off in the generated view."""
    wrong = 1 / (scale / source.depth[1] + shift)
    return ChosenDepth((ViewDepth(source.depth[0]), ViewDepth(wrong)), False, False, "wrong")


def test_a_wrong_scale_and_shift_are_found(source):
    lifted = lift_scene(source, wrong_depth(source, 1.3, 0.02))
    scale, shift = lifted.scene.alignment[1].tolist()
    assert scale == pytest.approx(1 / 1.3, rel=0.01)
    assert shift == pytest.approx(-0.02 / 1.3, rel=0.01)
    assert lifted.scene.alignment[0].tolist() == pytest.approx([1, 0], abs=1e-3)
    assert (lifted.scene.alignment_residual < 1e-4).all()
    torch.testing.assert_close(lifted.scene.generated.depth, source.depth[1], rtol=0.01, atol=0)
    assert any("triangulated tracks" in sentence for sentence in lifted.sentences)
    as_given = lift_scene(source, wrong_depth(source, 1.3, 0.02), LiftSpec(align=False)).scene
    assert track_errors(as_given, source).median() > 0.05, "the control: without it the views lie apart"


def test_cameras_that_only_turn_align_the_views_to_each_other(source):
    """No rays meet there, so the generated view's depth is fitted to the reference's."""
    turned = Cameras(source.cameras[0].cam_from_world, source.cameras[0].intrinsics)
    tracks = GivenTracks(source.tracks.pixels[:1].expand(2, -1, -1, -1), source.tracks.visible[:1].expand(2, -1, -1))
    wrong = 1 / (1.3 / source.depth[0] + 0.02)
    found = align_depths((source.depth[0], wrong), (turned, turned), tracks)
    assert found.by == "reference"
    assert found.fits[1].scale == pytest.approx(1 / 1.3, rel=0.01)
    assert "to the reference's depth" in found.sentence()


def test_without_shared_tracks_depth_is_taken_as_given(source):
    alone = replace(source, tracks=None)
    lifted = lift_scene(alone, wrong_depth(source, 1.3, 0.02))
    assert lifted.scene.tracks is None
    assert lifted.scene.alignment.tolist() == [[1, 0], [1, 0]]
    assert any("not aligned" in sentence for sentence in lifted.sentences)


def test_hidden_points_lie_between_seen_ones_or_nowhere():
    depth = torch.full((4, 8, 8), 2.0)
    cameras = Cameras(torch.eye(4).expand(4, 4, 4), torch.tensor([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]]).expand(4, 3, 3))
    pixels = torch.tensor([[1.0, 4.0], [7.0, 1.0], [3.0, 4.0], [7.0, 4.0]])[:, None].expand(2, 4, 1, 2)
    visible = torch.tensor([True, False, True, False])[:, None].expand(2, 4, 1)
    tracks = GivenTracks(pixels, visible)
    found = lift_tracks(tracks, (depth, depth), (cameras, cameras))
    assert found.world[0, :, 0, 0].tolist() == pytest.approx([-0.75, -0.5, -0.25, torch.nan], nan_ok=True)
    assert found.lifted[0, :, 0].tolist() == [True, False, True, False]
    bare = lift_tracks(tracks, (depth, depth), (cameras, cameras), fill_hidden=False)
    assert bare.world[1, :, 0, 0].isnan().tolist() == [False, True, False, True]


def test_a_plane_stands_where_the_tracks_are(source, tmp_path):
    lifted = lift_scene(source, choose_depth(source, "plane", DepthSpec()))
    scene = saved(lifted.scene, tmp_path)
    first = scene.reference.cameras.cam_from_world[0]
    forward = transform_points(first, scene.tracks.world[scene.tracks.lifted])[..., 2]
    torch.testing.assert_close(forward, forward.median().expand_as(forward), rtol=1e-3, atol=0)
    assert "triangulated points" in lifted.sentences[0]
    near = choose_depth(source, "plane", DepthSpec(distance=3.0))
    assert near.views[0].depth[0].median() == pytest.approx(3.0, rel=1e-4)
    blind = choose_depth(replace(source, tracks=None), "plane", DepthSpec())
    assert "by the cameras' way" in blind.sentence


class HalfSizeModel:
    """A network of the user's that sees all frames at once and answers at half the size, in its own world."""

    def __init__(self, source: LiftInput, scale: float) -> None:
        self.source, self.scale, self.shapes = source, scale, []

    def __call__(self, frames: torch.Tensor) -> DepthPrediction:
        self.shapes.append(tuple(frames.shape))
        depth = torch.cat(self.source.depth)[:, ::2, ::2] * self.scale
        pose = torch.cat([camera.cam_from_world for camera in self.source.cameras]).clone()
        pose[:, :3, 3] *= self.scale
        lens = torch.cat([camera.intrinsics for camera in self.source.cameras]) * torch.tensor([[0.5], [0.5], [1.0]])
        return DepthPrediction(depth, torch.ones_like(depth), Cameras(pose, lens), is_metric=True)


def test_a_model_of_both_views_in_its_own_world(source, tmp_path):
    model = HalfSizeModel(source, 2.0)
    lifted = lift_scene(source, choose_depth(source, None, DepthSpec(), model))
    scene = saved(lifted.scene, tmp_path)
    assert model.shapes == [(6, 3, 64, 96)]
    assert scene.unit == "metres"
    torch.testing.assert_close(scene.reference.cameras.cam_from_world[0], torch.eye(4), atol=1e-5, rtol=0)
    for view in scene.views:  # the cameras given, brought to the model's world and unit, are its own
        torch.testing.assert_close(view.true_cam_from_world, view.cameras.cam_from_world, atol=1e-3, rtol=0)
    apart = (scene.tracks.world[0] - scene.tracks.world[1]).norm(dim=-1)[scene.tracks.lifted.all(dim=0)]
    assert apart.median() < 0.02 * scene.reference.depth.median()
    given = lift_scene(source, choose_depth(source, "model", DepthSpec(), model), LiftSpec(cameras="given"))
    assert given.scene.alignment[:, 0].tolist() == pytest.approx([2, 2], rel=0.02)
    assert given.scene.unit == "unknown"


def test_a_model_that_answers_for_one_view_alone_is_refused(source):
    with pytest.raises(InputError, match="got depth of 3 frames, want 6"):
        choose_depth(source, None, DepthSpec(), lambda frames: DepthPrediction(torch.ones(3, 64, 96)))


@pytest.mark.parametrize(
    ("changes", "kind", "spec", "said"),
    [
        ({"depth": None}, "true", DepthSpec(), "got no depth of both views"),
        ({"depth": None}, "files", DepthSpec(), "want --depth_from.joint"),
        ({"cameras": None}, "true", DepthSpec(), "got no cameras of both views in one world"),
        ({"cameras": None}, "plane", DepthSpec(), "want cameras.json"),
        ({}, "model", DepthSpec(), "--depth_from.model: missing"),
        ({}, "model", DepthSpec(model=Path("/nowhere")), "no such folder"),
        ({}, "true", DepthSpec(joint=Path("/nowhere")), "--depth: got true beside files"),
    ],
)
def test_what_lacks_is_said_in_one_line(source, changes, kind, spec, said):
    given = replace(source, **changes)
    with pytest.raises(InputError) as raised:
        lift_scene(given, choose_depth(given, kind, spec))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_estimated_cameras_want_a_depth_that_tells_them(source):
    with pytest.raises(InputError, match=r"--scene\.cameras: got estimated"):
        lift_scene(source, choose_depth(source, "true", DepthSpec()), LiftSpec(cameras="estimated"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"reference": Path("a")}, "--depth_from.generated: missing"),
        ({"joint": Path("a"), "reference": Path("b"), "generated": Path("c")}, "--depth_from.joint: got it beside"),
        ({"distance": 0.0}, "depth_from"),
    ],
)
def test_what_does_not_go_together_is_refused(spec, said):
    with pytest.raises(InputError, match=said):
        DepthSpec(**spec)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(3))
def test_the_bars_at_504x288(tmp_path, index):
    """Read from scene4d.npz: tracks against points_world, views against each other, and a wrong view aligned."""
    spec = SceneSpec(image_size=(288, 504), num_views=2)
    source = lift_input(replace(spec, points=replace(spec.points, count=512)), tmp_path, index)
    scene = saved(lift_scene(source, choose_depth(source, "true", DepthSpec())).scene, tmp_path)
    errors = track_errors(scene, source)
    apart = (scene.tracks.world[0] - scene.tracks.world[1]).norm(dim=-1)
    depth = transform_points(scene.reference.cameras.cam_from_world[:, None], source.true_tracks.world)[..., 2]
    both = scene.tracks.visible.all(dim=0)
    share = (apart / depth)[both]
    print(f"\n504x288 clip {index}: tracks off by {errors.median():.1e} (median), {errors.quantile(0.95):.1e} (95 %)")
    print(f"views apart by {share.median():.1e} (median), {share.max():.1e} (most) of depth, {len(share)} points")
    assert scene.tracks.world[:, both].isfinite().all()
    assert errors.median() < 1e-3
    assert errors.quantile(0.95) < 5e-3
    assert (share < 0.01).double().mean() > 0.999
    aligned = saved(lift_scene(source, wrong_depth(source, 1.3, 0.02)).scene, tmp_path)
    left = ((aligned.generated.depth - source.depth[1]).abs() / source.depth[1]).max()
    print(f"1.3 / depth + 0.02: scale {1.3 * aligned.alignment[1, 0]:.6f}, depth off by at most {left:.1e}")
    assert aligned.alignment[1].tolist() == pytest.approx([1 / 1.3, -0.02 / 1.3], rel=0.01)
    assert left < 0.01
