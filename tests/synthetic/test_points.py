import numpy as np
import pytest

from mvt4g.synthetic.points import choose_by_motion, draw_grid, draw_pixels, kubric_budget, seen_path_length
from mvt4g.synthetic.spec import PointSpec
from mvt4g.types import InputError


def rng():
    return np.random.default_rng(0)


def taken(instances, spec, dynamic=()):
    """Draw points and count them by instance."""
    moves = np.zeros(int(instances.max()), dtype=bool)
    moves[[number - 1 for number in dynamic]] = True
    chosen = draw_pixels(rng(), instances, moves, spec)
    assert len(np.unique(chosen)) == len(chosen)
    ids, counts = np.unique(instances.reshape(-1)[chosen], return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def maps(**widths):
    """Return ids (2 16 64 64) in upright bands: ``maps(_0=32, _1=32)`` is half background, half instance 1."""
    row = np.concatenate([np.full(width, int(name[1:])) for name, width in widths.items()])
    return np.broadcast_to(row, (2, 16, 64, 64)).copy()


@pytest.mark.parametrize(
    ("pixels", "spec", "expected"),
    [
        ({0: 500, 1: 100, 2: 100}, PointSpec(100, 0.5), {0: 50, 1: 25, 2: 25}),
        ({0: 500, 1: 5, 2: 100}, PointSpec(100, 0.5), {0: 50, 1: 5, 2: 45}),  # what 1 lacks goes to 2
        ({0: 500, 1: 5, 3: 5}, PointSpec(100, 0.5), {0: 90, 1: 5, 3: 5}),  # what objects lack goes to the background
        ({0: 500}, PointSpec(100, 0.5), {0: 100}),
        ({1: 500}, PointSpec(100, 0.5), {1: 100}),
        ({0: 20, 1: 20}, PointSpec(100, 0.5), {0: 20, 1: 20}),
        ({0: 500, 1: 200}, PointSpec(100, 0.0), {0: 100}),
        ({0: 500, 1: 20}, PointSpec(100, 0.5, foreground_only=True), {1: 20}),
        ({0: 500}, PointSpec(100, 0.5, foreground_only=True), {}),
    ],
)
def test_equal_budgets(pixels, spec, expected):
    instances = np.concatenate([np.full(count, instance) for instance, count in pixels.items()])
    np.random.default_rng(1).shuffle(instances)
    assert taken(instances[None, None, None], spec) == expected


def test_grid_has_every_fourth_pixel_of_every_fourth_frame():
    flat = draw_grid(rng(), (3, 9, 17, 21), 4)
    view, time, row, column = np.unravel_index(flat, (3, 9, 17, 21))
    phases = set()
    for number in range(3):
        axes = [np.unique(axis[view == number]) for axis in (time, row, column)]
        for axis, length in zip(axes, (9, 17, 21), strict=True):
            assert axis[0] < 4
            assert axis[-1] >= length - 4
            assert set(np.diff(axis)) == {4}
        assert (view == number).sum() == np.prod([len(axis) for axis in axes])
        phases.add(tuple(axis[0] for axis in axes))
    assert len(phases) == 3  # each view has its own


def test_grid_of_few_frames_and_of_every_pixel():
    for seed in range(20):
        time = np.unravel_index(draw_grid(np.random.default_rng(seed), (2, 2, 8, 8), 4), (2, 2, 8, 8))[1]
        assert len(time) == 2 * 2 * 2
    np.testing.assert_array_equal(draw_grid(rng(), (2, 3, 4, 5), 1), np.arange(120))


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        # From the smallest: 5 asks for 100/3 but has 10 % = 0 (0.5 rounds to even); 300 takes 30; the last 70.
        ([9000, 300, 5], 100, [70, 30, 0]),
        ([9000, 9000, 9000], 99, [33, 33, 33]),
        ([20, 500], 100, [50, 2][::-1]),  # 2, then min(98, 50): fewer than asked
        ([1000], 100, [100]),
        ([500], 100, [50]),
        ([], 100, []),
    ],
)
def test_kubric_budget_by_hand(counts, total, expected):
    assert kubric_budget(np.array(counts, dtype=np.int64), total).tolist() == expected


def test_kubric_budget_counts_the_background_as_a_segment():
    """2048 candidates a scene: 1280, 512 and 256 of bands 40, 16 and 8 wide, at most a tenth of each."""
    instances = maps(_0=40, _1=16, _2=8)
    assert taken(instances, PointSpec(256, budget="kubric")) == {0: 128, 1: 51, 2: 26}
    assert taken(instances, PointSpec(60, budget="kubric")) == {0: 20, 1: 20, 2: 20}
    assert taken(instances, PointSpec(60, budget="kubric", foreground_only=True)) == {1: 34, 2: 26}
    assert taken(instances, PointSpec(60)) == {0: 30, 1: 15, 2: 15}  # the other budget, as a control


def test_points_of_a_grid_lie_on_it():
    chosen = draw_pixels(rng(), maps(_0=64), np.zeros(0, dtype=bool), PointSpec(200, budget="kubric"))
    view, time, row, column = np.unravel_index(chosen, (2, 16, 64, 64))
    for number in range(2):
        for axis in (time, row, column):
            assert len(np.unique(axis[view == number] % 4)) == 1


def test_two_thirds_of_the_pool_for_a_motion_budget_move():
    instances = maps(_0=48, _1=12, _2=4)
    assert taken(instances, PointSpec(50, budget="motion"), dynamic=[2]) == {0: 25, 1: 25, 2: 100}
    assert taken(instances, PointSpec(50, budget="motion", foreground_only=True), dynamic=[2]) == {1: 50, 2: 100}
    assert taken(instances, PointSpec(50, budget="motion")) == {0: 17, 1: 16, 2: 17}  # nothing moves


def test_choice_by_motion():
    length = np.concatenate([np.full(50, 3.0), np.full(200, 0.5), np.full(300, 0.0), np.full(100, 0.05)])
    chosen = choose_by_motion(rng(), length, 100)
    assert len(np.unique(chosen)) == 100
    assert (length[chosen] > 0.1).sum() == 75
    assert (length[chosen] == 0).sum() == 25
    assert (length[chosen] > 2).sum() >= 25  # a quarter, and those that the half happens to take


@pytest.mark.parametrize(
    ("far", "moving", "resting", "between", "expected"),
    [
        (0, 200, 200, 0, (0, 75, 25, 0)),  # what moves far is missing: its quarter moves less far
        (0, 0, 200, 0, (0, 0, 100, 0)),
        (0, 0, 30, 200, (0, 0, 30, 70)),
        (10, 10, 10, 10, (10, 10, 10, 10)),  # fewer than asked for
        (0, 0, 0, 0, (0, 0, 0, 0)),
    ],
)
def test_choice_by_motion_where_points_are_missing(far, moving, resting, between, expected):
    length = np.concatenate([np.full(far, 3.0), np.full(moving, 0.5), np.zeros(resting), np.full(between, 0.05)])
    chosen = length[choose_by_motion(rng(), length, 100)]
    assert tuple(int((chosen == value).sum()) for value in (3.0, 0.5, 0.0, 0.05)) == expected


def test_paths_are_measured_where_some_view_sees_them():
    points = np.zeros((4, 2, 3))
    points[:, 0, 0] = [0, 1, 3, 7]
    points[:, 1, 1] = [0, 2, 2, 2]
    visible = np.zeros((2, 4, 2), dtype=bool)
    visible[0, :2, 0] = visible[1, 2:, 0] = True  # seen always, by one view or the other
    visible[0, [0, 2, 3], 1] = True  # not seen while it moves
    np.testing.assert_allclose(seen_path_length(points, visible), [7, 0])


@pytest.mark.parametrize("change", [{"foreground": 1.5}, {"depth_tolerance": 1.0}, {"grid_stride": 0}])
def test_bad_values_are_named(change):
    with pytest.raises(InputError, match=next(iter(change))):
        PointSpec(**change)
