"""Charts: what is drawn where, and what is there when nothing is known."""

import io
import math
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from mvt4g.viz.charts import (
    COLOURS,
    CurvePanel,
    DotPanel,
    HeatRow,
    chart_bytes,
    chart_to_frame,
    common_limits,
    draw_curves,
    draw_dots,
    draw_heat_maps,
    mean_curve,
    save_chart,
)
from mvt4g.viz.probe_maps import PANEL_TITLES, RAW_SCORES, SCORES, draw_changes, draw_heads, draw_layers

AXES = ("training step", "PSNR, dB")


def curve_axes(curves, **options):
    figure = draw_curves([[CurvePanel(AXES, curves, **options)]])
    return figure, figure.axes[0]


def test_a_dot_a_seed_and_a_bar_at_their_mean():
    panels = [
        DotPanel("PSNR, dB", {"a": [1.0, 3.0, math.nan], "none": []}),
        DotPanel("error", {"a": [2.0], "none": []}),
    ]
    figure = draw_dots(panels)
    first, second = figure.axes
    dots, bar, nothing = first.get_lines()
    assert dots.get_xydata().tolist() == [[1.0, 0.0], [3.0, 0.0]]
    assert bar.get_xydata().tolist() == [[2.0, 0.0]]
    assert len(nothing.get_xdata()) == 0
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "none"]
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["PSNR, dB", "error"]
    assert first.get_ylim() == (1.5, -0.5), "the first arm is on top"


def test_the_line_is_the_mean_where_all_runs_have_a_value_and_the_band_reaches_to_their_ends():
    runs = [[(0, 1.0), (1, 3.0), (2, 9.0)], [(0, 3.0), (1, 5.0)]]
    assert mean_curve(runs) == [(0, 2.0), (1, 4.0)]
    _, axes = curve_axes({"a": runs, "b": [[(0, 0.0), (1, 1.0)]]})
    several, single = axes.get_lines()
    assert several.get_xydata().tolist() == [[0.0, 2.0], [1.0, 4.0]]
    assert single.get_ydata().tolist() == [0.0, 1.0]
    (band,) = axes.collections
    assert {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()} >= {(0, 1), (0, 3), (1, 3), (1, 5)}


def test_a_doubling_scale_gives_equal_room_from_0_to_1_and_to_each_double():
    _, axes = curve_axes({"a": [[(0, 1.0), (8, 0.0)]]}, x_scale="doubling")
    places = axes.transData.transform([(x, 0.0) for x in (0, 1, 2, 4, 8)])[:, 0]
    room = np.diff(places)
    assert room == pytest.approx([room[0]] * 4, abs=1e-6)
    (line,) = axes.get_lines()
    assert line.get_xdata().tolist() == [0, 8], "the data are left as they are"


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_value_that_is_not_finite_breaks_its_line(value):
    _, axes = curve_axes({"a": [[(0, 1.0), (1, value), (2, 3.0)]], "b": [[(0, 1.0), (1, 2.0), (2, 3.0)]]})
    broken, whole = (line.get_ydata() for line in axes.get_lines())
    assert np.isnan(broken).tolist() == [False, True, False]
    assert np.isfinite(whole).all()


def test_a_name_has_one_colour_in_every_panel_and_one_entry_in_the_legend():
    one = CurvePanel(AXES, {"a": [[(0, 1.0)]], "empty": [], "b": [[(0, 2.0)]]})
    other = CurvePanel(AXES, {"b": [[(0, 1.0)]]})
    figure = draw_curves([[one, other], [other]])
    assert len(figure.axes) == 3
    assert figure.axes[0].get_lines()[1].get_color() == figure.axes[1].get_lines()[0].get_color() == COLOURS[2]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == AXES


@pytest.mark.parametrize("limits", [(0.3, 0.3), (0.0, 1e-4), (-3.0, 1200.0)])
def test_any_range_is_drawn_whole(limits):
    _, axes = curve_axes({"a": [[(0.5, limits[0])]]}, limits=limits)
    low, high = axes.get_ylim()
    assert low < limits[0] <= limits[1] < high


def test_charts_of_nothing_are_drawn():
    assert not draw_curves([[CurvePanel(AXES, {"a": []})]]).legends
    chart_bytes(draw_dots([DotPanel("PSNR", {"a": []})]), "svg")


def heat_map(values, **options):
    row = HeatRow("accuracy", {"a map": values}, **{"limits": (0.0, 1.0), **options})
    names = [[str(index) for index in range(size)] for size in values.shape]
    return draw_heat_maps([row], *names, ("layer", "noise level"))


def test_cells_stand_as_given_the_largest_is_framed_and_nan_is_grey():
    figure = heat_map(torch.tensor([[0.2, torch.nan, 0.0], [0.1, 0.3, 0.9]]))
    axes = figure.axes[0]
    (image,) = axes.images
    assert image.get_array().shape == (2, 3)
    colours = [image.to_rgba(value) for value in (0.0, 0.5, 0.9)]
    assert [sum(colour[:3]) for colour in colours] == sorted(sum(colour[:3]) for colour in colours)
    assert image.to_rgba(np.ma.masked_invalid([np.nan]))[0][:3] == pytest.approx(to_rgb("#c8c8c8"))
    (frame,) = axes.patches
    assert frame.get_xy() == (1.5, 0.5)
    assert [text.get_text() for text in axes.texts] == ["0.20", "n/a", "0.00", "0.10", "0.30", "0.90"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "1"]
    assert figure.axes[1].get_ylabel() == "accuracy", "the bar of colours says what the colours mean"
    assert not heat_map(torch.full((2, 2), torch.nan)).axes[0].patches


def test_signed_colours_are_white_in_the_middle():
    (image,) = heat_map(torch.zeros(1, 1), limits=(-2.0, 2.0), signed=True).axes[0].images
    assert min(image.to_rgba(0.0)[:3]) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (30, 50), (6, 7)])
def test_a_map_of_any_size_stays_on_a_page(shape):
    figure = heat_map(torch.rand(shape))
    assert figure.get_figwidth() < 9
    assert bool(figure.axes[0].texts) == (shape != (30, 50)), "no values where they would overlap"
    chart_bytes(figure, "png")


def test_common_limits_leave_out_what_is_unknown():
    assert common_limits([torch.tensor([[0.5, torch.nan]]), torch.tensor([[2.0]])]) == (0.5, 2.0)
    assert common_limits([torch.full((2, 2), torch.nan)]) == (0.0, 1.0)


def test_files_are_the_same_for_the_same_figure_and_white_around_it(tmp_path):
    files = []
    for name in ("a", "b"):
        figure, _ = curve_axes({"a": [[(0, 1.0), (1, 2.0)]]})
        for kind in ("svg", "png"):
            save_chart(figure, tmp_path / f"{name}.{kind}")
        files.append([(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("svg", "png")])
    assert files[0] == files[1]
    svg, png = files[0]
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(io.BytesIO(png)) as image:
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
        size = image.size
    frame = chart_to_frame(figure)
    assert frame.shape == (3, *reversed(size))
    assert (frame[:, 0, 0] == 1).all()


def probe_maps(values, scores=SCORES):
    return {f"{panel}/{score}": torch.tensor(values) for panel in PANEL_TITLES for score in scores}


def test_layers_are_drawn_from_the_highest_noise_level_down_whatever_their_order():
    lines = []
    for sigmas, values in (([0.999, 0.997, 0.996], [0.0, 0.5, 1.0]), ([0.996, 0.999, 0.997], [1.0, 0.0, 0.5])):
        figure = draw_layers(probe_maps([[0.7] * 3, values]), [3, 5], sigmas, [5])
        assert len(figure.axes) == len(PANEL_TITLES) * len(SCORES)
        assert figure.axes[0].xaxis_inverted()
        (line,) = figure.axes[0].get_lines()
        assert line.get_label() == "layer 5"
        lines.append(line.get_xydata().tolist())
    assert lines[0] == lines[1] == [[0.996, 1.0], [0.997, 0.5], [0.999, 0.0]]


def test_heads_are_means_over_noise_levels_and_accuracies_say_what_the_same_place_gets():
    heads = probe_maps([[[0.2, 0.4], [0.0, 1.0]]])
    figure = draw_heads(heads, [4], {"cross": 0.125})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if "same place" in title] == ["across views (same place: 0.12)"]
    assert figure.axes[0].images[0].get_array().tolist()[0] == pytest.approx([0.3, 0.5])


def test_changes_are_signed_around_zero():
    figure = draw_changes(probe_maps([[-0.2, 0.1]], RAW_SCORES), [0], [0.5, 0.25])
    assert figure.axes[0].images[0].get_clim() == pytest.approx((-0.2, 0.2))
