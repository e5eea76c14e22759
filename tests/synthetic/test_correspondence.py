"""Whether textured pictures can be matched: patches find their points in another view, often but not always."""

import dataclasses

import pytest
import torch

from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.spec import CameraSpec, ObjectSpec, PointSpec, SceneSpec

REACH = 3
SCENE = SceneSpec(
    num_frames=2,
    image_size=(128, 128),
    num_views=2,
    objects=ObjectSpec(resting=(5, 7)),
    cameras=CameraSpec(separation=(10.0, 16.0)),
    points=PointSpec(count=200),
)


def patches(video, tracks):
    """Return (n d) patches about the tracks of a view, without their mean and of length 1."""
    steps = torch.arange(-REACH, REACH + 1.0)
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(-1, 2)
    values = bilinear_sample(video[None], (tracks[:, None] + offsets).reshape(1, -1, 2))[0]
    values = values.reshape(len(tracks), len(offsets), 3)
    values = (values - values.mean(dim=1, keepdim=True)).flatten(1)
    return values / values.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def recall(looks):
    """Return the share of points whose patch's nearest neighbour in the other view is the point's own."""
    right = []
    for seed in range(4):
        clip = generate_clip(dataclasses.replace(SCENE, looks=looks), seed, 0)
        both = clip.visible[0, 0] & clip.visible[1, 0]
        inside = ((clip.tracks[:, 0] > REACH + 1) & (clip.tracks[:, 0] < 127 - REACH)).all(-1).all(0)
        one, two = (patches(clip.video[view, 0], clip.tracks[view, 0, both & inside]) for view in range(2))
        right.append((one @ two.T).argmax(dim=1) == torch.arange(len(one)))
    return float(torch.cat(right).float().mean()), sum(map(len, right))


@pytest.fixture(scope="module")
def textured():
    return recall(LookSpec.kubric())


def test_points_can_be_matched_across_views_but_not_trivially(textured):
    share, count = textured
    assert count > 300
    assert 20 / count < 0.35 < share < 0.97  # chance is about 1 in 100


def test_textures_are_what_makes_points_match(textured):
    """With four texels a side only broad blotches, shade and outlines are left."""
    looks = LookSpec.kubric()
    blurred = dataclasses.replace(looks.textured, object_texels=4, ground_texels=4)
    assert recall(dataclasses.replace(looks, textured=blurred))[0] < 0.85 * textured[0]


def test_noise_makes_it_harder(textured):
    noisy = recall(dataclasses.replace(LookSpec.kubric(), shot_noise=0.02, read_noise=0.05))
    assert noisy[0] < textured[0] - 0.05


def test_views_agree_where_both_see_a_point():
    """A static, visible point has nearly the same colour in two views; points paired at random do not."""
    same, other = [], []
    for seed in range(4):
        clip = generate_clip(dataclasses.replace(SCENE, looks=LookSpec.kubric()), seed, 0)
        both = clip.visible[0, 0] & clip.visible[1, 0]
        colours = bilinear_sample(clip.video[:2, 0], clip.tracks[:2, 0, both])
        same.append((colours[0] - colours[1]).abs().mean(-1))
        other.append((colours[0] - colours[1].roll(1, dims=0)).abs().mean(-1))
    assert float(torch.cat(same).median()) < 0.015
    assert float(torch.cat(other).median()) > 6 * float(torch.cat(same).median())
