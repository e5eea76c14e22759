"""Query points on masks, on grids and from files."""

import json
from pathlib import Path

import pytest
import torch

from mvt4g.data.query_points import QueriedView, QueryChoice, file_queries, grid_queries, mask_queries
from mvt4g.geometry.framing import FitSpec
from mvt4g.types import InputError

VIEW = QueriedView(9, (0, 4, 8), FitSpec().framing((100, 200), (50, 50)))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("mask", QueryChoice("mask", 16)),
        ("mask:3", QueryChoice("mask", 3)),
        ("grid:8", QueryChoice("grid", 8)),
        ("my/points.csv", QueryChoice("file", path=Path("my/points.csv"))),
    ],
)
def test_choices_are_understood(text: str, choice: QueryChoice) -> None:
    assert QueryChoice.parse(text) == choice


@pytest.mark.parametrize("text", ["grid:0", "grid:x", "mask:-1", "grids", "points.txt", ""])
def test_other_choices_are_named(text: str) -> None:
    with pytest.raises(InputError, match=f"queries: got '{text}', want"):
        QueryChoice.parse(text)


def test_a_grid_lies_on_cell_centres() -> None:
    queries = grid_queries(2, FitSpec().framing((8, 16), (8, 16)))
    assert queries.tolist() == [[0, 0, 4, 2], [0, 0, 12, 2], [0, 0, 4, 6], [0, 0, 12, 6]]


def test_a_grid_lies_on_the_picture_not_on_its_black_bars() -> None:
    """20x10 (w x h) letterboxed to 20x20: rows 5 to 14."""
    queries = grid_queries(2, FitSpec("letterbox").framing((10, 20), (20, 20)))
    assert queries[:, 2:].tolist() == [[5, 7.5], [15, 7.5], [5, 12.5], [15, 12.5]]


def test_mask_points_spread_inside_the_first_mask_there_is() -> None:
    masks = torch.zeros(3, 40, 40, dtype=torch.bool)
    masks[1, 10:30, 5:35] = True
    masks[2, 0, 0] = True
    queries = mask_queries(masks, 6, "clip")
    assert queries[:, :2].unique(dim=0).tolist() == [[0, 1]]
    x, y = queries[:, 2:].unbind(1)
    assert bool(masks[1, y.long(), x.long()].all())
    assert bool((x % 1 == 0.5).all())
    gaps = torch.cdist(queries[:, 2:], queries[:, 2:]) + 100 * torch.eye(6)
    assert float(gaps.min()) > 6  # a rectangle of 30 x 20 in 6 parts of 10 x 10
    assert bool(((x > 6) & (x < 34) & (y > 11) & (y < 29)).all())  # off the rim
    torch.testing.assert_close(mask_queries(masks, 6, "clip"), queries, rtol=0, atol=0)


def test_a_small_mask_gives_all_its_pixels_and_an_empty_one_is_named() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    with pytest.raises(InputError, match="clip: queries: got masks that are empty"):
        mask_queries(masks, 4, "clip")
    masks[0, 3, 2:4] = True
    assert mask_queries(masks, 4, "clip")[:, 2:].tolist() == [[2.5, 3.5], [3.5, 3.5]]


def _file(folder: Path, rows: list[list[float]]) -> Path:
    (folder / "q.json").write_text(json.dumps(rows))
    return folder / "q.json"


def test_file_points_follow_the_frames_and_the_cut(tmp_path: Path) -> None:
    """Source 200x100 (w x h) -> 100x50 -> centre 50x50; frames 0, 4, 8 of 9 are kept."""
    path = _file(tmp_path, [[0, 100, 50], [4, 60, 20], [3, 100, 50], [8, 10, 50], [8, 149.9, 99.9]])
    queries, rows = file_queries(path, [VIEW])
    assert rows.tolist() == [0, 1, 4]
    want = torch.tensor([[0, 0, 25, 25], [0, 1, 5, 10], [0, 2, 49.95, 49.95]])
    torch.testing.assert_close(queries, want)


def test_each_view_has_its_own_cut(tmp_path: Path) -> None:
    """The second view's source is 50x100 (w x h): its upper and lower quarters are cut away."""
    path = _file(tmp_path, [[0, 0, 100, 50], [1, 4, 10, 60], [1, 4, 10, 20]])
    framings = [FitSpec().framing((100, 200), (50, 50)), FitSpec().framing((100, 50), (50, 50))]
    queries, rows = file_queries(path, [QueriedView(9, (0, 4, 8), framing) for framing in framings])
    assert rows.tolist() == [0, 1]
    torch.testing.assert_close(queries, torch.tensor([[0.0, 0, 25, 25], [1, 1, 10, 35]]))


def test_each_view_has_its_own_frames(tmp_path: Path) -> None:
    """The target is faster: its frames 0, 10 and 20 of 25 are shown when the reference's 0, 4 and 8 are."""
    path = _file(tmp_path, [[1, 10, 100, 50], [0, 4, 100, 50], [1, 4, 100, 50], [1, 20, 100, 50]])
    queries, rows = file_queries(path, [VIEW, QueriedView(25, (0, 10, 20), VIEW.framing)])
    assert rows.tolist() == [0, 1, 3]
    assert queries[:, :2].tolist() == [[1, 1], [0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 1], [0, 200, 1]], "query 1: got x 200, want 0 <= x < 200"),
        ([[9, 1, 1]], "query 0: got frame 9, want 0 <= frame < 9"),
        ([[1, 0, 1, 1]], "query 0: got view 1, want 0 <= view < 1"),
        ([[0, 1, 1], [3, 100, 50]], "got 2 queries, all outside what is kept"),
    ],
)
def test_file_points_outside_are_named(tmp_path: Path, rows: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=rf"q\.json: {message}"):
        file_queries(_file(tmp_path, rows), [VIEW])
