"""Where the head looks, on maps that are wider than high, at moments between latent frames, with q unlike k."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import nn

from mvt4g.models.tracking import head as head_module
from mvt4g.models.tracking.head import TrackingHead, TrackingHeadSpec
from mvt4g.types import AttentionTap, Cameras, TapShape

STRIDE, ROWS, COLUMNS, VIEWS, FRAMES, STEP = 8, 5, 9, 2, 3, 4
WIDTH, HEIGHT = COLUMNS * STRIDE, ROWS * STRIDE
SPEC = TrackingHeadSpec(
    channels=16, upsampler_hidden=32, scales=(1, 2, 3), correlation_features=8, motion_degrees=3, width=32,
    num_virtual=4, iterations=2, start="query",
)  # fmt: skip
RESIDUAL = torch.tensor([1.5, -0.5, 0.25, -2.0])


def make_tap(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = 1, VIEWS, FRAMES, ROWS, COLUMNS, 2, 8
    query, key = (torch.randn(shape, generator=generator) for _ in range(2))
    return AttentionTap(0, query, key, torch.zeros(*shape[:5], 1, 4), STEP * torch.arange(FRAMES), STRIDE)


def make_head(spec=SPEC):
    torch.manual_seed(0)
    return TrackingHead(TapShape(num_heads=2, head_dim=8, stride=STRIDE, temporal_stride=STEP), 0, spec)


def make_cameras():
    """Every video frame of every view has a pose and a K of its own; reference frame 0 is not the world's origin."""
    generator = torch.Generator().manual_seed(1)
    frames = (FRAMES - 1) * STEP + 1
    rotation = torch.linalg.qr(torch.randn(1, VIEWS, frames, 3, 3, generator=generator))[0]
    rotation = rotation * torch.linalg.det(rotation)[..., None, None]
    pose = torch.eye(4).repeat(1, VIEWS, frames, 1, 1)
    pose[..., :3, :3], pose[..., :3, 3] = rotation, torch.randn(1, VIEWS, frames, 3, generator=generator)
    focal = 40 + 20 * torch.rand(1, VIEWS, frames, generator=generator)
    intrinsics = torch.tensor([[1.0, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]]).repeat(1, VIEWS, frames, 1, 1)
    intrinsics[..., 0, 0], intrinsics[..., 1, 1] = focal, 1.2 * focal
    return Cameras(pose, intrinsics)


QUERIES = torch.tensor([[[1.0, 5.0, 61.3, 11.2], [0.0, 8.0, 6.0, 38.0], [0.0, 2.0, 30.0, 20.0]]])


class Recorder(nn.Module):
    """Stands in for the refiner: keeps what it is given, answers with residuals that grow with the latent frame."""

    def __init__(self, iterations=SPEC.iterations):
        super().__init__()
        self.tokens, self.context = [], []
        self.residuals = nn.ParameterList(RESIDUAL * (i + 1) for i in range(iterations))

    def forward(self, tokens, context):
        residual = self.residuals[len(self.tokens)]
        self.tokens.append(tokens)
        self.context.append(context)
        frame = rearrange(torch.arange(1.0, FRAMES + 1), "f -> f 1 1")
        return (frame * residual).expand(1, VIEWS, FRAMES, tokens.shape[3], 4)


def recorded():
    head = make_head()
    head.refiner = Recorder()
    return head, head(make_tap(), QUERIES, make_cameras())


def bilinear(image, x, y):
    """The value of (h w c) at cell position (x, y), cell centres at i + 0.5, the border going on outside."""
    rows, columns = len(image), len(image[0])
    left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
    right_share, lower_share = x - 0.5 - left, y - 0.5 - top

    def cell(row, column):
        return image[min(max(row, 0), rows - 1)][min(max(column, 0), columns - 1)]

    upper = (1 - right_share) * cell(top, left) + right_share * cell(top, left + 1)
    lower = (1 - right_share) * cell(top + 1, left) + right_share * cell(top + 1, left + 1)
    return (1 - lower_share) * upper + lower_share * lower


def averaged(fine, size):
    """A map (h w c) as means over the areas that ``size`` cells tile it in, each of all cells it touches."""
    rows, columns = size
    height, width, _ = fine.shape
    top = [(r * height // rows, -(-(r + 1) * height // rows)) for r in range(rows)]
    left = [(c * width // columns, -(-(c + 1) * width // columns)) for c in range(columns)]
    return np.array([[fine[a:b, c:d].mean(axis=(0, 1)) for c, d in left] for a, b in top])


@torch.no_grad()
def test_patches_are_those_of_the_query_map_between_its_latent_frames_and_keys_those_of_the_key_map():
    """Frame 5 is a quarter of the way from latent 1 to latent 2, frame 2 half way from 0 to 1, frame 8 is latent 2."""
    head, tap = make_head(), make_tap()
    head.key_upsampler.project.weight.mul_(-1)  # the two start as one
    found = head.scales(tap, QUERIES, *head.upsampled(tap))
    tokens = "b v f h w k d -> b (v f) h w (k d)"
    query_maps = head.query_upsampler(rearrange(tap.query, tokens))[0].double().numpy()
    key_maps = head.key_upsampler(rearrange(tap.key, tokens))[0].double().numpy()
    moments = [(1, 1, 2, 0.25), (0, 2, 2, 0.0), (0, 0, 1, 0.5)]
    for scale, size in zip(found, [(10, 18), (5, 9), (3, 6)], strict=True):
        assert scale.cell_size.tolist() == pytest.approx([WIDTH / size[1], HEIGHT / size[0]])
        keys = np.array([averaged(fine, size) for fine in key_maps])
        np.testing.assert_allclose(scale.keys[0], keys, rtol=1e-4, atol=1e-5)
        for point, (view, early, late, share) in enumerate(moments):
            two = [averaged(query_maps[view * FRAMES + frame], size) for frame in (early, late)]
            x, y = QUERIES[0, point, 2].item() * size[1] / WIDTH, QUERIES[0, point, 3].item() * size[0] / HEIGHT
            patch = [
                (1 - share) * bilinear(two[0], x + dx, y + dy) + share * bilinear(two[1], x + dx, y + dy)
                for dy in range(-SPEC.radius, SPEC.radius + 1)
                for dx in range(-SPEC.radius, SPEC.radius + 1)
            ]
            np.testing.assert_allclose(scale.patches[0, point], patch, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_residuals_are_cells_and_motion_is_told_in_image_sizes():
    """A point moves by 4 px cells, more so in later frames; the second iteration is told so, in widths and heights."""
    head, prediction = recorded()
    frame = np.arange(1.0, FRAMES + 1)
    start = QUERIES[0, :, 2:].double().numpy()
    by_hand = start + frame[:, None, None] * np.array([1.5, -0.5]) * 4  # f n 2
    np.testing.assert_allclose(prediction.tracks[0, 0], np.broadcast_to(by_hand, (VIEWS, FRAMES, 3, 2)), rtol=1e-5)
    by_hand_later = start + frame[:, None, None] * np.array([1.5, -0.5]) * 4 * 3
    np.testing.assert_allclose(prediction.tracks[1, 0, 1], by_hand_later, rtol=1e-5)
    np.testing.assert_allclose(prediction.visible_logit[1, 0, 0], np.broadcast_to(0.75 * frame[:, None], (FRAMES, 3)))
    np.testing.assert_allclose(prediction.confidence_logit[1, 0, 0, :, 0], -6 * frame)

    step = np.array([1.5 * 4 / WIDTH, -0.5 * 4 / HEIGHT])
    ahead, behind, still = -step, step, np.zeros(2)
    motion = np.array([[*ahead, *still], [*ahead, *behind], [*still, *behind]])  # f 4
    angles = (motion[:, :, None] * 2.0 ** np.arange(SPEC.motion_degrees)).reshape(FRAMES, -1)
    wanted = np.concatenate([motion, np.sin(angles), np.cos(angles)], axis=-1)
    first = 2 + len(SPEC.scales) * SPEC.correlation_features
    told = head.refiner.tokens[1][0, 1, :, :, first : first + wanted.shape[1]]
    np.testing.assert_allclose(told, np.broadcast_to(wanted[:, None], told.shape), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_logits_so_far_and_the_moment_are_told():
    """The first query is of view 1, frame 5, between two latents; the second of view 0, frame 8, which latent 2 is."""
    head, _ = recorded()
    tokens = head.refiner.tokens[1][0].double().numpy()  # v f n c
    frame = np.arange(1.0, FRAMES + 1)
    np.testing.assert_allclose(tokens[1, :, 2, :2], frame[:, None] * np.array([0.25, -2.0]))
    own_view, own_frame = tokens[..., -26], tokens[..., -25]
    np.testing.assert_array_equal(own_view, np.broadcast_to(np.array([[[0, 1, 1]], [[1, 0, 0]]]), (VIEWS, FRAMES, 3)))
    np.testing.assert_array_equal(np.argwhere(own_frame), [[0, 2, 1]])
    period = 100.0 ** (-np.arange(6) / 5)
    now = np.arange(FRAMES)[:, None] + np.zeros(3)
    since = now - QUERIES[0, :, 1].double().numpy() / STEP  # latent frames
    for time, columns in ((now, slice(-24, -12)), (since, slice(-12, None))):
        angles = time[..., None] * period
        wanted = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
        np.testing.assert_allclose(tokens[0, ..., columns], wanted, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_rays_are_those_of_the_camera_at_each_latent_frames_own_time():
    head, prediction = recorded()
    cameras = make_cameras()
    pose, intrinsics = cameras.cam_from_world[0].double().numpy(), cameras.intrinsics[0].double().numpy()
    world_from_reference = np.linalg.inv(pose[0, 0])
    relative = pose[:, ::STEP] @ world_from_reference
    farthest = np.linalg.norm(relative[..., :3, 3], axis=-1).max()
    looked_at = prediction.tracks[0, 0].double().numpy()  # v f n 2
    for view in range(VIEWS):
        for latent in range(FRAMES):
            rotation, translation = relative[view, latent, :3, :3], relative[view, latent, :3, 3] / farthest
            pixels = np.concatenate([looked_at[view, latent], np.ones((3, 1))], axis=-1)
            direction = pixels @ np.linalg.inv(intrinsics[view, latent * STEP]).T @ rotation
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            centre = -rotation.T @ translation
            ray = np.concatenate([np.cross(centre, direction), direction], axis=-1)
            wanted = head.ray_embedding(torch.from_numpy(ray).float()) + head.role_embedding[view]
            torch.testing.assert_close(head.refiner.context[1][0, view, latent], wanted, rtol=1e-3, atol=1e-4)


def test_no_gradient_reaches_where_it_looked():
    """An iteration is judged by what it adds to where it stood; its logits add up through all of them."""
    head, prediction = recorded()
    prediction.tracks[-1].sum().backward()
    first, last = (residual.grad for residual in head.refiner.residuals)
    entries = VIEWS * 3 * (1 + 2 + 3)
    assert first is None or first[:2].tolist() == [0, 0]
    assert last.tolist() == pytest.approx([4.0 * entries, 4.0 * entries, 0, 0])
    head, prediction = recorded()
    prediction.visible_logit[-1].sum().backward()
    assert [residual.grad[2].item() for residual in head.refiner.residuals] == pytest.approx([entries, entries])


@torch.no_grad()
def test_motion_shows(monkeypatch):
    """With no motion told, tracks move by over 0.05 px where tokens are 8 px."""
    head = make_head(replace(SPEC, iterations=3))
    nn.init.normal_(head.refiner.to_residual.weight, std=0.05)
    inputs = make_tap(), QUERIES, make_cameras()
    tracks = head(*inputs).tracks[-1]
    told = head_module._motion_features
    monkeypatch.setattr(head_module, "_motion_features", lambda *given: 0 * told(*given))
    assert (head(*inputs).tracks[-1] - tracks).abs().mean() > 0.05
