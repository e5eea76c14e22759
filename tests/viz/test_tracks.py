"""Track overlays: marks lie where the points are, discs when seen and rings when hidden."""

import pytest
import torch

from mvt4g.viz.colours import heat_colours, rainbow, rainbow_by_row
from mvt4g.viz.tracks import draw_track_views, draw_tracks, track_legend

RED = torch.tensor([[1.0, 0.0, 0.0]])


def _black(frames: int = 1, side: int = 64) -> torch.Tensor:
    return torch.zeros(frames, 3, side, side)


def _still(x: float, y: float, frames: int = 1) -> torch.Tensor:
    return torch.tensor([[[float(x), float(y)]]]).expand(frames, 1, 2).clone()


def _centre_of_mass(frame: torch.Tensor) -> tuple[float, float]:
    """Centre of the red light in pixels (centres at i + 0.5)."""
    red = frame[0]
    at = torch.arange(red.shape[-1]) + 0.5
    return float((red.sum(0) * at).sum() / red.sum()), float((red.sum(1) * at).sum() / red.sum())


@pytest.mark.parametrize("xy", [(32.0, 32.0), (10.5, 50.25), (0.5, 63.5 / 2)])
def test_a_seen_point_is_a_disc_centred_on_it(xy: tuple[float, float]) -> None:
    drawn = draw_tracks(_black(), _still(*xy), torch.ones(1, 1, dtype=torch.bool), colours=RED, magnify=4)
    assert drawn.shape == (1, 3, 256, 256)
    x, y = _centre_of_mass(drawn[0])
    assert (y / 4) == pytest.approx(xy[1], abs=0.1)
    if xy[0] > 2:  # a disc at the border is cut
        assert (x / 4) == pytest.approx(xy[0], abs=0.1)
    assert drawn[0, 0, int(xy[1] * 4), int(xy[0] * 4)] == 1


def test_a_hidden_point_is_a_ring_with_the_picture_inside_it() -> None:
    video = torch.full((1, 3, 64, 64), 0.5)
    hidden = draw_tracks(video, _still(32, 32), torch.zeros(1, 1, dtype=torch.bool), colours=RED, magnify=4)
    torch.testing.assert_close(hidden[0, :, 128, 128], torch.full((3,), 128 / 255))
    seen = draw_tracks(video, _still(32, 32), torch.ones(1, 1, dtype=torch.bool), colours=RED, magnify=4)
    torch.testing.assert_close(seen[0, :, 128, 128], RED[0])
    assert (hidden[0] - 128 / 255).abs().max() > 0.4


def test_edges_are_smooth() -> None:
    drawn = draw_tracks(_black(), _still(32, 32), torch.ones(1, 1, dtype=torch.bool), colours=RED, magnify=4)
    assert len(drawn[0, 0].unique()) > 4


def test_a_trail_follows_the_path_fades_and_ends() -> None:
    tracks = torch.stack([torch.linspace(8, 56, 7), torch.full((7,), 32.0)], dim=-1)[:, None]
    drawn = draw_tracks(_black(7), tracks, torch.ones(7, 1, dtype=torch.bool), trail=4, colours=RED, magnify=4)
    row = drawn[-1, 0, 128]
    midpoints = [float(row[int(4 * (8 + 8 * step + 4))]) for step in range(6)]
    assert midpoints[0] == midpoints[1] == 0
    assert 0 < midpoints[2] < midpoints[3] < midpoints[4] < midpoints[5]
    bare = draw_tracks(_black(7), tracks, torch.ones(7, 1, dtype=torch.bool), trail=0, colours=RED, magnify=4)
    assert float(bare[-1, 0, 128, : 4 * 48].max()) == 0


def test_a_hidden_stretch_of_a_trail_is_fainter() -> None:
    tracks = torch.tensor([[[10.0, 32.0]], [[50.0, 32.0]]])
    seen = draw_tracks(_black(2), tracks, torch.tensor([[True], [True]]), colours=RED, magnify=4)
    hidden = draw_tracks(_black(2), tracks, torch.tensor([[False], [True]]), colours=RED, magnify=4)
    assert 0 < hidden[1, 0, 128, 120] < 0.5 * seen[1, 0, 128, 120]


def test_points_that_are_nan_or_outside_are_left_out() -> None:
    tracks = torch.tensor([[[torch.nan, 3.0], [-500.0, 1e6], [torch.inf, 0.0]]])
    drawn = draw_tracks(_black(), tracks, torch.ones(1, 3, dtype=torch.bool), magnify=4)
    assert float(drawn.max()) == 0
    assert draw_tracks(_black(), torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.bool)).shape == (1, 3, 256, 256)


def test_inputs_stay_as_they_are() -> None:
    video, tracks = torch.rand(2, 3, 16, 16), torch.rand(2, 4, 2) * 16
    before = video.clone(), tracks.clone()
    draw_tracks(video, tracks, torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close((video, tracks), before, rtol=0, atol=0)


def test_a_point_has_one_colour_in_all_views() -> None:
    tracks = torch.tensor([[[[8.0, 8.0], [56.0, 56.0]]], [[[56.0, 56.0], [8.0, 8.0]]]])
    sheet = draw_track_views(torch.zeros(2, 1, 3, 64, 64), tracks, torch.ones(2, 1, 2, dtype=torch.bool), ["a", "b"])
    first, second = rainbow_by_row(tracks[0])
    left, top, right = 6, 6 + 22, 6 + 256 + 6
    for corner_x, low, high in ((left, first, second), (right, second, first)):
        torch.testing.assert_close(sheet[0, :, top + 32, corner_x + 32], low, atol=1 / 255, rtol=0)
        torch.testing.assert_close(sheet[0, :, top + 224, corner_x + 224], high, atol=1 / 255, rtol=0)


def test_rainbow_runs_from_red_by_rank_of_the_row() -> None:
    tracks = torch.tensor([[[0.0, 30.0], [0.0, 10.0], [0.0, 11.0]]])
    torch.testing.assert_close(rainbow_by_row(tracks), rainbow(torch.tensor([1.0, 0.0, 0.5])))
    assert rainbow(torch.tensor([0.0]))[0].argmax() == 0
    assert rainbow(torch.zeros(0)).shape == (0, 3)


def test_heat_grows_brighter_everywhere() -> None:
    luma = heat_colours(torch.linspace(0, 1, 50)) @ torch.tensor([0.299, 0.587, 0.114])
    assert bool((luma.diff() > 0).all())


def test_the_legend_shows_a_disc_for_seen_and_a_ring_for_hidden() -> None:
    strip = track_legend(256)
    assert strip.shape == (3, 24, 256)
    centre, ring = strip[0, 12, 12], strip[0, 12, 12 + 74]
    assert centre > 0.8, "filled"
    assert ring < 0.2, "the paper shows through"
    assert strip[0, :, 76:97].max() > 0.8, "and there is a ring around it"


def test_views_with_tracks_stand_over_the_legend() -> None:
    video = torch.rand(2, 3, 3, 16, 16)
    tracks, seen = torch.full((2, 3, 1, 2), 8.0), torch.ones(2, 3, 1, dtype=torch.bool)
    drawn = draw_track_views(video, tracks, seen, ["reference", "target"])
    strip = track_legend(drawn.shape[-1])
    torch.testing.assert_close(drawn[:, :, -24:], strip.expand(3, -1, -1, -1))
