import math
from dataclasses import replace

import pytest
import torch

from mvt4g.losses.track import TrackLoss
from mvt4g.models.tracking.head import TrackingHead, TrackingHeadSpec
from mvt4g.types import AttentionTap, Cameras, InputError, TapShape
from tests.truths import truth_of

STRIDE, CELLS = 8, 8
SIZE = STRIDE * CELLS
TAP_SHAPE = TapShape(num_heads=2, head_dim=8, stride=STRIDE, temporal_stride=1)
SMALL = TrackingHeadSpec(channels=16, upsampler_hidden=32, correlation_features=16, width=32, num_virtual=4)


def make_clip(seed, batch=2, views=2, frames=3, points=10):
    """Each frame's content is shifted; q and k are smooth codes of where a token's content lies in the world."""
    generator = torch.Generator().manual_seed(seed)
    shift = (torch.rand(batch, views, frames, 2, generator=generator) - 0.5) * 24
    rows, columns = torch.meshgrid(torch.arange(CELLS) + 0.5, torch.arange(CELLS) + 0.5, indexing="ij")
    world = torch.stack([columns, rows], dim=-1) * STRIDE - shift[:, :, :, None, None]
    angles = world[..., None] * torch.tensor([1.0, 2.0, 4.0, 8.0]) * math.pi / SIZE
    code = torch.stack([angles.sin(), angles.cos()], dim=-2) * 3  # b v f h w 2 2 4
    feature = code.flatten(-2)
    rotary = torch.zeros(1, views, frames, CELLS, CELLS, 1, 4)
    tap = AttentionTap(0, feature, feature, rotary, torch.arange(frames), STRIDE)
    tracks = torch.rand(batch, 1, 1, points, 2, generator=generator) * 32 + 16 + shift[:, :, :, None]
    visible = ((tracks >= 0) & (tracks < SIZE)).all(dim=-1)
    view = torch.randint(0, views, (batch, points), generator=generator)
    frame = torch.randint(0, frames, (batch, points), generator=generator)
    xy = tracks[torch.arange(batch)[:, None], view, frame, torch.arange(points)]
    queries = torch.cat([torch.stack([view, frame], dim=-1).float(), xy], dim=-1)
    return tap, queries, make_cameras(batch, views, frames), tracks, visible


def make_cameras(batch, views, frames):
    pose = torch.eye(4).repeat(batch, views, frames, 1, 1)
    pose[:, 1:, :, 0, 3] = torch.arange(frames) + 1.0
    intrinsics = torch.tensor([[60.0, 0, 32], [0, 60, 32], [0, 0, 1]]).expand(batch, views, frames, 3, 3)
    return Cameras(pose, intrinsics)


def make_head(seed=0, spec=SMALL, tap_shape=TAP_SHAPE):
    torch.manual_seed(seed)
    head = TrackingHead(tap_shape, layer=0, spec=spec)
    torch.nn.init.normal_(head.refiner.to_residual.weight, std=0.05)  # so that residuals are worth comparing
    return head


def clip_of(tap, index):
    return replace(tap, query=tap.query[index], key=tap.key[index])


def test_shapes_of_all_iterations():
    tap, queries, cameras, tracks, _ = make_clip(0)
    prediction = make_head(spec=replace(SMALL, iterations=3))(tap, queries, cameras)
    assert prediction.tracks.shape == (3, *tracks.shape)
    assert prediction.visible_logit.shape == (3, *tracks.shape[:-1])
    assert prediction.confidence_logit.shape == (3, *tracks.shape[:-1])
    assert torch.equal(prediction.frame_times, tap.frame_times)


def test_learns_to_follow_codes():
    """150 steps bring the error from 6 px to under a pixel, on tokens of 8 px."""
    torch.manual_seed(0)
    head = TrackingHead(TAP_SHAPE, layer=0, spec=SMALL)
    tap, queries, cameras, tracks, visible = make_clip(0, batch=1)
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    errors = []
    for _ in range(150):
        prediction = head(tap, queries, cameras)
        errors.append((prediction.tracks[-1] - tracks).norm(dim=-1)[visible].mean().item())
        optimizer.zero_grad()
        TrackLoss()(prediction, truth_of(queries, tracks, visible, width=SIZE)).total.mean().backward()
        optimizer.step()
    assert errors[0] > 3.0
    assert sum(errors[-5:]) / 5 < 1.0


def test_starts_at_the_query_in_its_own_view_and_at_the_best_match_elsewhere():
    tap, queries, cameras, tracks, visible = make_clip(3)
    spec = replace(SMALL, iterations=1)
    start = TrackingHead(TAP_SHAPE, 0, spec)(tap, queries, cameras).tracks[0]
    own = queries[:, None, None, :, 0] == torch.arange(2)[:, None, None]
    own = own.expand(visible.shape)
    asked = queries[:, None, None, :, 2:].expand_as(tracks)
    assert (start - asked).norm(dim=-1)[own].max() < 0.5
    stay = TrackingHead(TAP_SHAPE, 0, replace(spec, start="query"))(tap, queries, cameras).tracks[0]
    assert (stay - asked).norm(dim=-1).max() < 0.5
    elsewhere = ~own & visible
    assert (start - tracks).norm(dim=-1)[elsewhere].mean() < STRIDE * 0.7  # twice half a token on each axis
    assert (stay - tracks).norm(dim=-1)[elsewhere].mean() > STRIDE


def test_a_start_everywhere_is_the_best_match_in_all_but_the_querys_own_frame():
    tap, queries, cameras, tracks, visible = make_clip(3)
    spec = replace(SMALL, iterations=1, start="everywhere")
    start = TrackingHead(TAP_SHAPE, 0, spec)(tap, queries, cameras).tracks[0]
    own_view = queries[:, None, None, :, 0] == torch.arange(2)[:, None, None]
    own = own_view & (queries[:, None, None, :, 1] == torch.arange(3)[:, None])
    assert (start - queries[:, None, None, :, 2:]).norm(dim=-1)[own].max() < 0.5
    moved = own_view & ~own & visible
    assert (start - tracks).norm(dim=-1)[moved].mean() < STRIDE * 0.7
    attention = TrackingHead(TAP_SHAPE, 0, replace(spec, start="attention"))(tap, queries, cameras).tracks[0]
    assert (attention - tracks).norm(dim=-1)[moved].mean() > STRIDE
    torch.testing.assert_close(
        attention[~own_view.expand(visible.shape)], start[~own_view.expand(visible.shape)], rtol=0, atol=0.5
    )


def test_features_may_be_rotated_or_not():
    """Without rotation the angles mean nothing to the features; with it they do, and no angle changes nothing."""
    tap, queries, cameras, _, _ = make_clip(1)
    turned = replace(tap, rotary=torch.randn(tap.rotary.shape, generator=torch.Generator().manual_seed(0)))
    plain, rotated = (make_head(spec=replace(SMALL, start="query", rotated=flag)) for flag in (False, True))
    expected = plain(tap, queries, cameras).tracks
    assert torch.equal(plain(turned, queries, cameras).tracks, expected)
    torch.testing.assert_close(rotated(tap, queries, cameras).tracks, expected)
    assert (rotated(turned, queries, cameras).tracks - expected).abs().max() > 0.05


def test_upsampling_without_pixel_shuffle_tracks_too():
    tap, queries, cameras, tracks, _ = make_clip(1)
    head = make_head(spec=replace(SMALL, upsampling="bilinear"))
    assert head(tap, queries, cameras).tracks.shape[1:] == tracks.shape
    assert head.query_upsampler.detail.weight.shape == (16, 32)


def test_a_clip_alone_is_the_clip_in_a_batch():
    tap, queries, cameras, _, _ = make_clip(1, batch=3)
    head = make_head()
    together = head(tap, queries, cameras)
    alone = head(clip_of(tap, slice(1, 2)), queries[1:2], cameras[1:2])
    torch.testing.assert_close(alone.tracks, together.tracks[:, 1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alone.visible_logit, together.visible_logit[:, 1:2], rtol=1e-4, atol=1e-4)


def test_the_order_of_queries_does_not_matter():
    tap, queries, cameras, _, _ = make_clip(1)
    head, order = make_head(), torch.randperm(10, generator=torch.Generator().manual_seed(0))
    shuffled = head(tap, queries[:, order], cameras).tracks
    torch.testing.assert_close(shuffled, head(tap, queries, cameras).tracks[:, :, :, :, order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("views", "frames", "points"), [(2, 1, 1), (3, 2, 4), (2, 4, 1)])
def test_any_number_of_views_frames_and_points(views, frames, points):
    tap, queries, cameras, tracks, visible = make_clip(0, views=views, frames=frames, points=points)
    head = make_head()
    prediction = head(tap, queries, cameras)
    TrackLoss()(prediction, truth_of(queries, tracks, visible, width=SIZE)).total.mean().backward()
    assert prediction.tracks.shape[1:] == tracks.shape
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_border_and_outside_queries_are_defined():
    tap, _, cameras, _, _ = make_clip(0)
    queries = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, SIZE - 1e-3, SIZE - 1e-3], [0.0, 1.0, -40.0, 500.0]])
    prediction = make_head()(tap, queries.expand(2, 3, 4), cameras)
    assert torch.isfinite(prediction.tracks).all()
    assert torch.isfinite(prediction.visible_logit).all()


def test_gradients_reach_queries_keys_and_every_parameter():
    tap, queries, cameras, tracks, visible = make_clip(0)
    tap = replace(tap, query=tap.query.clone().requires_grad_(), key=tap.key.clone().requires_grad_())
    head = make_head()
    terms = TrackLoss()(head(tap, queries, cameras), truth_of(queries, tracks, visible, width=SIZE))
    terms.total.mean().backward()
    assert tap.query.grad.abs().sum() > 0
    assert tap.key.grad.abs().sum() > 0
    silent = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_what_it_looks_at_matters():
    """Effect sizes: keys of another frame, the query's frame, and the cameras each change the answer."""
    tap, queries, cameras, _, _ = make_clip(2)
    head = make_head()
    tracks = head(tap, queries, cameras).tracks[-1]

    def moved(other_tap=tap, other_queries=queries, other_cameras=cameras):
        return (head(other_tap, other_queries, other_cameras).tracks[-1] - tracks).abs().mean().item()

    late = queries.clone()
    late[..., 1] = (late[..., 1] + 1) % 3
    far = Cameras(cameras.cam_from_world.clone(), cameras.intrinsics)
    far.cam_from_world[:, 1, :, 1, 3] += 5.0
    assert moved() == 0.0
    assert moved(other_tap=replace(tap, key=tap.key.roll(1, dims=2))) > 0.05
    assert moved(other_queries=late) > 0.05
    assert moved(other_cameras=far) > 0.005


def test_the_scale_and_place_of_the_world_do_not_matter():
    tap, queries, cameras, _, _ = make_clip(2)
    head = make_head()
    pose = cameras.cam_from_world.clone()
    pose[..., :3, 3] *= 100.0
    turned = torch.tensor([[0.0, -1, 0, 3], [1, 0, 0, -2], [0, 0, 1, 9], [0, 0, 0, 1]])
    moved = head(tap, queries, Cameras(pose @ turned, cameras.intrinsics)).tracks
    torch.testing.assert_close(moved, head(tap, queries, cameras).tracks, rtol=1e-3, atol=1e-2)


def test_computing_iterations_again_changes_nothing():
    tap, queries, cameras, tracks, visible = make_clip(0)
    found = []
    for recompute in (False, True):
        head = make_head(spec=replace(SMALL, recompute=recompute))
        key = tap.key.clone().requires_grad_()
        prediction = head(replace(tap, key=key), queries, cameras)
        TrackLoss()(prediction, truth_of(queries, tracks, visible, width=SIZE)).total.mean().backward()
        found.append([prediction.tracks, key.grad, *(p.grad for p in head.parameters())])
    assert all(torch.equal(kept, again) for kept, again in zip(*found, strict=True))


@pytest.mark.parametrize("spec", [SMALL, replace(SMALL, upsampling="bilinear", rotated=True, start="everywhere")])
@pytest.mark.parametrize("seen", [True, False])
def test_gradients_are_finite_on_the_border_outside_and_without_a_visible_point(spec, seen):
    tap, _, cameras, _, _ = make_clip(0, points=4)
    tap = replace(tap, query=tap.query.clone().requires_grad_(), key=tap.key.clone().requires_grad_())
    queries = torch.tensor(
        [[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, SIZE, SIZE], [0.0, 99.0, -1e4, 1e5], [1.0, -3.0, 32.0, 32.0]]
    ).expand(2, 4, 4)
    tracks = queries[:, None, None, :, 2:].expand(2, 2, 3, 4, 2)
    visible = torch.full((2, 2, 3, 4), seen)
    head = make_head(spec=spec)
    terms = TrackLoss()(head(tap, queries, cameras), truth_of(queries, tracks, visible, width=SIZE))
    terms.total.mean().backward()
    assert torch.isfinite(terms.total).all()
    grads = [tap.query.grad, tap.key.grad, *(p.grad for p in head.parameters())]
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_what_cannot_be_read_is_refused():
    tap, queries, cameras, _, _ = make_clip(0)
    head, key = make_head(), tap.key.clone()
    key[1, 0, 2, 3, 4, 1, 0] = math.nan
    with torch.no_grad(), pytest.raises(InputError, match="tap of layer 0: got queries or keys that are not finite"):
        head(replace(tap, key=key), queries, cameras)
    lost = queries.clone()
    lost[1, 3, 2] = math.inf
    with pytest.raises(InputError, match="queries: got a value that is not finite"):
        head(tap, lost, cameras)
    third = queries.clone()
    third[0, 0, 0] = 2.0
    with pytest.raises(InputError, match="queries: got views from 0 to 2, want 0 to 1"):
        head(tap, third, cameras)
    with pytest.raises(InputError, match="queries: got none, want at least one"):
        head(tap, queries[:, :0], cameras)


def test_latent_frames_further_apart():
    """Latents every 4 frames, a query between two of them, cameras at all 9 video frames."""
    tap, queries, _, _, _ = make_clip(0)
    tap = replace(tap, frame_times=tap.frame_times * 4)
    head = make_head(tap_shape=replace(TAP_SHAPE, temporal_stride=4))
    queries[..., 1] = 5.0
    cameras = make_cameras(2, 2, 9)
    tracks = head(tap, queries, cameras).tracks
    assert torch.isfinite(tracks).all()
    queries[..., 1] = 6.0
    assert (head(tap, queries, cameras).tracks - tracks).abs().max() > 1e-3
    with pytest.raises(InputError, match="cameras: got 2 views and 8 frames, want 2 and at least 9"):
        head(tap, queries, make_cameras(2, 2, 8))


def test_a_stride_that_does_not_divide_the_taps_is_refused():
    with pytest.raises(InputError, match=r"spec.stride: got 3"):
        TrackingHead(TAP_SHAPE, 0, replace(SMALL, stride=3))


@pytest.mark.parametrize(
    ("option", "value", "want"),
    [
        *((name, 0, "at least 1") for name in (
            "stride", "channels", "upsampler_hidden", "correlation_features", "width", "num_heads", "num_blocks",
            "mlp_ratio", "num_virtual", "iterations",
        )),
        ("radius", -1, "at least 0"),
        ("motion_degrees", -1, "at least 0"),
        ("num_heads", 5, "a divisor of width 32"),
        ("scales", (), "at least one"),
        ("scales", (0, 1), "each at least 1"),
        ("scales", (1, 2, 1), "none twice"),
    ],
)  # fmt: skip
def test_bad_specs_are_named(option, value, want):
    with pytest.raises(InputError, match=rf"spec\.{option}: got .*want.* {want}"):
        replace(SMALL, **{option: value})


def test_the_least_sizes_can_be_built():
    spec = replace(SMALL, radius=0, motion_degrees=0, correlation_features=1, scales=(9,), iterations=1)
    tap, queries, cameras, tracks, _ = make_clip(0)
    assert make_head(spec=spec)(tap, queries, cameras).tracks.shape == (1, *tracks.shape)


def test_full_size_can_be_built():
    head = TrackingHead(TapShape(12, 128, 16, 4), 17, TrackingHeadSpec.full())
    assert 15e6 < sum(p.numel() for p in head.parameters()) < 60e6


def test_full_size_halves_its_maps_three_times_as_mvtap_does():
    """MV-TAP: 4 levels of 2x2 average pooling at stride 4, radius 3: a patch reaches 3 * 8 * 4 = 96 px."""
    spec = TrackingHeadSpec.full()
    assert spec.scales == (1, 2, 4, 8)
    assert spec.radius * max(spec.scales) * spec.stride == 96


def test_bfloat16_autocast_gives_finite_fp32_tracks():
    tap, queries, cameras, tracks, visible = make_clip(0)
    head = make_head()
    expected = head(tap, queries, cameras).tracks
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = head(replace(tap, query=tap.query.bfloat16(), key=tap.key.bfloat16()), queries, cameras)
    assert got.tracks.dtype == torch.float32
    assert (got.tracks - expected).norm(dim=-1).median() < 1.0
    TrackLoss()(got, truth_of(queries, tracks, visible, width=SIZE)).total.mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_rays_are_not_rounded_under_bfloat16_autocast():
    """At 480p, where a ray rounded to bf16 is half a pixel off; the next pixel is the scale of what that hides."""
    head, (pixel, right) = make_head(), torch.tensor([[400.3, 210.7], [401.3, 210.7]])
    intrinsics = torch.tensor([[720.0, 0, 416], [0, 720, 240], [0, 0, 1]]).expand(1, 2, 1, 3, 3)
    cameras = Cameras(torch.eye(4).expand(1, 2, 1, 4, 4), intrinsics)
    expected, beside = (head._rays(xy.expand(1, 2, 1, 1, 2), cameras) for xy in (pixel, right))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = head._rays(pixel.expand(1, 2, 1, 1, 2), cameras)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    assert (beside - expected).abs().max() > 1e-3


def test_two_runs_are_the_same_bit_for_bit():
    tap, queries, cameras, tracks, visible = make_clip(0)
    grads = []
    for _ in range(2):
        head = make_head()
        prediction = head(tap, queries, cameras)
        TrackLoss()(prediction, truth_of(queries, tracks, visible, width=SIZE)).total.mean().backward()
        grads.append([p.grad for p in head.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
