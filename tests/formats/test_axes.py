"""Shapes against named axes: what fits enters its sizes, what does not leaves them alone."""

import pytest

from mvt4g.formats.axes import bind_axes


def test_sizes_are_entered_once_and_held_from_then_on():
    sizes = {"t": 3}
    assert bind_axes("v t n 2", (4, 3, 7, 2), sizes)
    assert sizes == {"t": 3, "v": 4, "n": 7}
    assert not bind_axes("n 2", (8, 2), sizes)
    assert bind_axes("n 2", (7, 2), sizes)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("v t", (4,)), ("v t", (4, 3, 1)), ("v 2", (4, 3)), ("n n", (4, 5)), ("", (1,)), ("u t", (4, 9))],
)
def test_a_shape_that_does_not_fit_leaves_sizes_alone(axes, shape):
    sizes = {"t": 3}
    assert not bind_axes(axes, shape, sizes)
    assert sizes == {"t": 3}


def test_no_axes_stand_for_a_single_number():
    sizes: dict[str, int] = {}
    assert bind_axes("", (), sizes)
    assert not sizes
