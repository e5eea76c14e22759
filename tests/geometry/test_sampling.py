import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.sampling import bilinear_sample, sample_queries
from mvt4g.types import InputError
from tests.reference.bilinear import bilinear_read


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# --- bilinear_sample -------------------------------------------------------------------------------------------------


def test_bilinear_by_hand():
    maps = torch.tensor([[[0.0, 1.0], [10.0, 11.0]]])
    xy = torch.tensor([[0.5, 0.5], [1.5, 0.5], [1.0, 1.0], [0.75, 1.5], [-50.0, 0.5], [9.0, 9.0]])
    assert bilinear_sample(maps, xy)[:, 0].tolist() == [0.0, 1.0, 5.5, 10.25, 0.0, 11.0]
    assert bilinear_sample(maps, xy * 8, stride=8)[:, 0].tolist() == [0.0, 1.0, 5.5, 10.25, 0.0, 11.0]
    outside = torch.tensor([[0.0, 0.5], [-0.5, 0.5], [2.0, 1.5]])
    assert bilinear_sample(maps, outside, padding="zeros")[:, 0].tolist() == [0.0, 0.0, 5.5]


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("stride", [1.0, 8])
def test_bilinear_equals_the_slow_twin(padding, stride):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, 4, 5, 6))
    xy = rng.uniform(-3, 9, (2, 3, 20, 2)) * stride
    got = bilinear_sample(torch.from_numpy(maps), torch.from_numpy(xy), stride, padding).numpy()
    for b, v, n in np.ndindex(2, 3, 20):
        x, y = xy[b, v, n]
        np.testing.assert_allclose(got[b, v, n], bilinear_read(maps[b, v], x, y, stride, padding), atol=1e-12)


def test_reading_the_cell_centres_gives_the_map():
    maps = torch.rand(3, 5, 7, generator=seeded(0))
    got = bilinear_sample(maps, pixel_centres(5, 7, stride=4).flatten(0, 1), stride=4)
    torch.testing.assert_close(got.T.reshape(3, 5, 7), maps)


def test_bilinear_of_half_precision_is_computed_in_single():
    maps = torch.rand(2, 3, 8, 8, generator=seeded(0)).bfloat16()
    xy = 8 * torch.rand(2, 9, 2, generator=seeded(1))
    got = bilinear_sample(maps, xy)
    assert got.dtype == torch.float32
    assert torch.equal(got, bilinear_sample(maps.float(), xy))


def test_bilinear_of_no_points_and_of_one_cell():
    assert bilinear_sample(torch.rand(2, 3, 4, 4), torch.rand(2, 0, 2)).shape == (2, 0, 3)
    one = bilinear_sample(torch.full((1, 1, 1), 7.0), torch.tensor([[0.1, 0.9], [-4.0, 5.0]]))
    assert one.tolist() == [[7.0], [7.0]]


def test_bilinear_gradients():
    maps = torch.rand(2, 2, 3, 4, generator=seeded(0), dtype=torch.float64, requires_grad=True)
    xy = (0.7 + 2.0 * torch.rand(2, 5, 2, generator=seeded(1), dtype=torch.float64)).requires_grad_()
    assert gradcheck(bilinear_sample, (maps, xy))


# --- sample_queries --------------------------------------------------------------------------------------------------


def random_tracks(batch=3, views=2, frames=9, points=12, share_visible=0.3):
    tracks = 64 * torch.rand(batch, views, frames, points, 2, generator=seeded(1))
    visible = torch.rand(batch, views, frames, points, generator=seeded(2)) < share_visible
    return tracks, visible


@pytest.mark.parametrize("frame_step", [1, 4])
@pytest.mark.parametrize("num_queries", [1, 7, 40])
def test_queries_lie_on_visible_tracks(frame_step, num_queries):
    tracks, visible = random_tracks()
    tracks[~visible] = torch.nan  # never to be read
    point_valid = torch.rand(3, 12, generator=seeded(3)) < 0.6
    queries, point = sample_queries(tracks, visible, point_valid, num_queries, seeded(0), frame_step)
    assert queries.shape == (3, num_queries, 4)
    view, frame = queries[..., 0].long(), queries[..., 1].long()
    batch = torch.arange(3)[:, None]
    assert (frame % frame_step == 0).all()
    assert visible[batch, view, frame, point].all()
    assert point_valid[batch, point].all()
    assert torch.equal(queries[..., 2:], tracks[batch, view, frame, point])


def test_points_are_dealt_round_without_repeats():
    tracks, visible = random_tracks(share_visible=0.5)
    visible[:, :, :, 9:] = False  # three of the twelve are never seen
    _, few = sample_queries(tracks, visible, None, 9, seeded(0))
    assert all(sorted(row) == list(range(9)) for row in few.tolist())
    _, many = sample_queries(tracks, visible, None, 20, seeded(0))
    for row in many:
        counts = torch.bincount(row, minlength=12)
        assert counts[9:].tolist() == [0, 0, 0]
        assert set(counts[:9].tolist()) == {2, 3}


def test_draws_are_uniform_over_points_views_and_frames():
    """One of four points drawn 4000 times: each count is within 4 standard deviations of a fair draw."""
    tracks = torch.rand(1, 2, 5, 4, 2, generator=seeded(0)).expand(4000, -1, -1, -1, -1)
    visible = torch.ones(4000, 2, 5, 4, dtype=torch.bool)
    visible[..., 0] = False
    visible[:, 1, 3, 0] = True  # point 0 is seen once, and still drawn as often as the others
    queries, point = sample_queries(tracks, visible, None, 1, seeded(5))
    for share, count in zip((0.25,) * 4, torch.bincount(point[:, 0], minlength=4).tolist(), strict=True):
        assert abs(count - 4000 * share) < 4 * (4000 * share * (1 - share)) ** 0.5
    others = queries[point[:, 0] > 0]
    cells = torch.bincount((others[:, 0, 0] * 5 + others[:, 0, 1]).long(), minlength=10)
    expected = len(others) / 10
    assert ((cells - expected).abs() < 4 * expected**0.5).all()
    assert (queries[point[:, 0] == 0][:, 0, :2] == torch.tensor([1.0, 3.0])).all()


def test_the_generator_alone_decides():
    tracks, visible = random_tracks()
    first = sample_queries(tracks, visible, None, 7, seeded(0), 4)
    torch.manual_seed(123)
    again = sample_queries(tracks, visible, None, 7, seeded(0), 4)
    other = sample_queries(tracks, visible, None, 7, seeded(1), 4)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_a_clip_in_which_nothing_is_seen_leaves_the_others_alone():
    tracks, visible = random_tracks()
    tracks[1] = torch.nan
    visible[1] = False
    queries, point = sample_queries(tracks, visible, None, 5, seeded(0))
    assert (point[1] == -1).all()
    assert queries[1].tolist() == [[0.0, 0.0, 0.5, 0.5]] * 5
    assert (point[[0, 2]] >= 0).all()


@pytest.mark.parametrize("case", ["padding", "off_step", "no_points"])
def test_other_ways_of_having_nothing_to_draw(case):
    tracks, visible = random_tracks(batch=1, points=0 if case == "no_points" else 12)
    point_valid = torch.full((1, tracks.shape[3]), case != "padding")
    if case == "off_step":
        visible[:, :, ::4] = False
    queries, point = sample_queries(tracks, visible, point_valid, 3, seeded(0), 4)
    assert point.tolist() == [[-1] * 3]
    assert queries.tolist() == [[[0.0, 0.0, 0.5, 0.5]] * 3]


def test_inputs_stay_as_they_are_and_counts_are_checked():
    tracks, visible = random_tracks()
    before = tracks.clone(), visible.clone()
    sample_queries(tracks, visible, None, 5, seeded(0))
    assert torch.equal(tracks, before[0])
    assert torch.equal(visible, before[1])
    for counts in ((0, 1), (1, 0)):
        with pytest.raises(InputError, match="at least 1"):
            sample_queries(tracks, visible, None, counts[0], seeded(0), counts[1])
