"""Pictures of one query's attention: marks and heat lie where they should."""

import torch

from mvt4g.viz.matches import draw_matches

GAP, CAPTION, SIDE = 6, 22, 256


def _at(sheet: torch.Tensor, panel: int, xy: tuple[float, float]) -> torch.Tensor:
    return sheet[:, GAP + CAPTION + int(4 * xy[1]), GAP + panel * (SIDE + GAP) + int(4 * xy[0])]


def _picture(heat: torch.Tensor, true_xy: torch.Tensor | None = None) -> torch.Tensor:
    grey = torch.full((3, 64, 64), 0.5)
    return draw_matches(grey, grey, torch.tensor([16.0, 24.0]), torch.tensor([40.0, 8.0]), true_xy, heat)


def test_query_peak_and_truth_are_marked_in_their_views() -> None:
    sheet = _picture(torch.zeros(8, 8), torch.tensor([20.0, 48.0]))
    assert sheet.shape == (3, GAP + CAPTION + SIDE + GAP, GAP + 2 * (SIDE + GAP))
    query, peak, left_untouched = _at(sheet, 0, (16, 24)), _at(sheet, 1, (40, 8)), _at(sheet, 0, (40, 8))
    assert query[0] > 0.95
    assert query[2] < 0.1
    assert bool((peak > 0.95).all())
    torch.testing.assert_close(left_untouched, torch.full((3,), 128 / 255))
    ring = sheet[:, :, GAP + SIDE + GAP :][:, GAP + CAPTION + 192 - 12 : GAP + CAPTION + 192 + 12, 80 - 12 : 80 + 12]
    assert bool(((ring[1] > 0.9) & (ring[0] < 0.5)).any())


def test_without_truth_nothing_green_is_drawn() -> None:
    sheet = _picture(torch.zeros(8, 8))
    assert not bool(((sheet[1] > 0.9) & (sheet[0] < 0.5)).any())


def test_heat_of_any_resolution_covers_the_target_and_only_it() -> None:
    heat = torch.zeros(4, 8)
    heat[3, 1] = 0.02  # small, but the largest
    sheet = _picture(heat)
    hot, cold, reference = _at(sheet, 1, (12, 56)), _at(sheet, 1, (28, 56)), _at(sheet, 0, (12, 56))
    assert hot[0] - hot[2] > 0.2
    torch.testing.assert_close(cold, torch.full((3,), 0.4), atol=0.01, rtol=0)
    torch.testing.assert_close(reference, torch.full((3,), 128 / 255))


def test_heat_with_nan_or_nothing_is_drawn_as_none() -> None:
    heat = torch.full((8, 8), torch.nan)
    torch.testing.assert_close(_picture(heat), _picture(torch.zeros(8, 8)))
