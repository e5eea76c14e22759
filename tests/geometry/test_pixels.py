import numpy as np
import torch
from torch.nn import functional

from mvt4g.geometry.pixels import (
    from_grid_sample,
    from_integer_centres,
    from_normalised,
    pixel_centres,
    to_grid_sample,
    to_integer_centres,
    to_normalised,
)


def test_pixel_centres_by_hand():
    assert pixel_centres(2, 3).tolist() == [[[0.5, 0.5], [1.5, 0.5], [2.5, 0.5]], [[0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]]
    assert pixel_centres(1, 2, stride=8).tolist() == [[[4.0, 4.0], [12.0, 4.0]]]


def test_floor_of_a_centre_over_the_stride_is_its_cell():
    cells = (pixel_centres(5, 7, stride=8) / 8).floor()
    assert cells[3, 6].tolist() == [6.0, 3.0]


def test_resizing_is_a_pure_scale():
    """Averaging 2x2 blocks of a coordinate map gives the coordinates of the halved image, doubled."""
    fine = pixel_centres(6, 8).permute(2, 0, 1)
    coarse = functional.avg_pool2d(fine, 2)
    torch.testing.assert_close(coarse, 2 * pixel_centres(3, 4).permute(2, 0, 1))


def test_known_values():
    edges = torch.tensor([[0.0, 0.0], [64.0, 48.0], [32.0, 12.0]])
    assert to_normalised(edges, 48, 64).tolist() == [[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]]
    assert to_grid_sample(edges, 48, 64).tolist() == [[-1.0, -1.0], [1.0, 1.0], [0.0, -0.5]]
    assert to_integer_centres(torch.tensor([0.5, 3.5])).tolist() == [0.0, 3.0]


def test_round_trips():
    xy = torch.from_numpy(np.random.default_rng(0).uniform(-10, 80, (50, 2)))
    torch.testing.assert_close(from_integer_centres(to_integer_centres(xy)), xy)
    torch.testing.assert_close(from_normalised(to_normalised(xy, 48, 64), 48, 64), xy)
    torch.testing.assert_close(from_grid_sample(to_grid_sample(xy, 48, 64), 48, 64), xy)


def test_grid_sample_reads_back_the_pixel_centres():
    grid = to_grid_sample(pixel_centres(4, 6), 4, 6)[None]
    image = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(functional.grid_sample(image, grid, align_corners=False), image)
