"""Heat maps and curves: what is where, and what is there when nothing is known."""

import pytest
import torch

from mvt4g.viz.colours import heat_colours
from mvt4g.viz.curves import draw_curves
from mvt4g.viz.heat_maps import common_limits, draw_heat_map
from mvt4g.viz.probe_maps import PANEL_TITLES, SCORES, curve_sheet

AXES = ("layer", "noise level")


def cell_colours(values, limits):
    """The colours of the cells of a wide map, found by what they are: each row's colours from left to right."""
    names = [str(index) for index in range(values.shape[1])]
    picture = draw_heat_map(values, names[: len(values)], names, AXES, limits)
    return picture


def has_colour(picture, colour):
    return bool(((picture - torch.as_tensor(colour)[:, None, None]).abs().amax(dim=0) < 0.5 / 255 + 1e-6).any())


def test_low_is_dark_and_high_is_bright_left_and_right_as_given():
    picture = cell_colours(torch.tensor([[0.0, 1.0, 0.5]]), (0.0, 1.0))
    low, middle, high = (heat_colours(torch.tensor(share)).mul(255).round() / 255 for share in (0.0, 0.5, 1.0))
    for colour in (low, middle, high):
        assert has_colour(picture, colour)
    column = [
        int((picture - colour[:, None, None]).abs().amax(dim=0).lt(1e-3).float()[:, :180].sum(dim=0).argmax())
        for colour in (low, high, middle)
    ]
    assert column == sorted(column), "cells are in the order of their columns"
    assert len(set(column)) == 3


def test_the_largest_is_framed_and_nan_is_neither_low_nor_high():
    frame = torch.tensor([64, 255, 140]) / 255
    known = cell_colours(torch.tensor([[0.2, torch.nan], [0.9, 0.1]]), (0.0, 1.0))
    assert has_colour(known, frame)
    unknown = cell_colours(torch.full((2, 2), torch.nan), (0.0, 1.0))
    assert not has_colour(unknown, frame)
    assert has_colour(unknown, torch.tensor([58, 58, 58]) / 255)


@pytest.mark.parametrize("shape", [(1, 1), (30, 50), (6, 7)])
def test_any_size_is_drawn_and_stays_legible(shape):
    picture = draw_heat_map(torch.rand(shape), ["12"] * shape[0], ["0.50"] * shape[1], AXES, (0.0, 1.0))
    assert picture.shape[1] >= 12 * shape[0]
    assert picture.shape[2] >= 12 * shape[1]
    assert picture.shape[2] < 900


def test_common_limits_leave_out_what_is_unknown():
    assert common_limits([torch.tensor([[0.5, torch.nan]]), torch.tensor([[2.0]])]) == (0.5, 2.0)
    assert common_limits([torch.full((2, 2), torch.nan)]) == (0.0, 1.0)


def rows_of(picture, colour):
    """The height of a curve's pixels in every column that has any, from the left."""
    hit = (picture - torch.tensor(colour)[:, None, None] / 255).abs().amax(dim=0) < 1e-3
    columns = hit.any(dim=0).nonzero()[:, 0]
    return columns, torch.stack([hit[:, column].nonzero().float().mean() for column in columns])


FIRST, SECOND = (255, 176, 0), (84, 174, 255)


def test_a_rising_curve_rises_to_the_right_whichever_way_positions_run():
    for x in ([0.1, 0.5, 0.9], [0.9, 0.5, 0.1]):
        picture = draw_curves(x, {"a": torch.tensor([0.0, 0.5, 1.0])}, AXES, (0.0, 1.0))
        columns, heights = rows_of(picture, FIRST)
        on_plot = columns < 440
        assert heights[on_plot][0] > heights[on_plot][-1] + 150


def test_positions_that_round_to_one_another_are_told_apart():
    pictures = []
    for sigmas, values in (([0.999, 0.997, 0.996], [0.0, 0.5, 1.0]), ([0.996, 0.999, 0.997], [1.0, 0.0, 0.5])):
        maps = {f"{panel}/{score}": torch.tensor([values]) for panel in PANEL_TITLES for score in SCORES}
        pictures.append(curve_sheet(maps, [0], sigmas, [0]))
    columns, _ = rows_of(pictures[0], FIRST)
    assert columns.max() - columns.min() > 300 * len(PANEL_TITLES)
    assert torch.equal(*pictures), "whatever their order"
    picture = draw_curves([0.5, 0.5], {"a": torch.tensor([0.0, 1.0])}, AXES, (0.0, 1.0))
    assert has_colour(picture, torch.tensor(FIRST) / 255)


def test_nan_breaks_a_curve_and_the_others_go_on():
    curves = {"a": torch.tensor([0.5, torch.nan, 0.5]), "b": torch.tensor([1.0, 1.0, 1.0])}
    picture = draw_curves([1.0, 0.5, 0.0], curves, AXES, (0.0, 1.0))
    broken, whole = (rows_of(picture, colour)[0] for colour in (FIRST, SECOND))
    middle = (picture.shape[2] - 60) // 2
    near = [int(((columns - middle).abs() < 40).sum()) for columns in (broken, whole)]
    assert near[0] == 0
    assert near[1] > 60


@pytest.mark.parametrize("limits", [(0.3, 0.3), (0.0, 1e-4), (-3.0, 1200.0)])
def test_any_range_is_drawn(limits):
    picture = draw_curves([0.5], {"a": torch.tensor([limits[0]])}, AXES, limits)
    assert has_colour(picture, torch.tensor(FIRST) / 255)
