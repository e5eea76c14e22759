"""Holes: nearest colours by brute force, diffusion by a linear system, and what is seen left as it is."""

import numpy as np
import pytest
import torch

from mvt4g.geometry import hole_filling
from mvt4g.geometry.hole_filling import fill_holes
from mvt4g.types import InputError

SIZE = (13, 17)


def picture(seed=0, share=0.5):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, *SIZE, generator=generator)
    mask = torch.rand(1, *SIZE, generator=generator) < share
    return image, mask


def nearest_squares(mask):
    """Return the squared distance of each pixel to the nearest that is seen."""
    seen = np.argwhere(mask)
    squares = np.zeros(mask.shape, int)
    for row, column in np.ndindex(mask.shape):
        squares[row, column] = ((seen - [row, column]) ** 2).sum(axis=1).min()
    return squares


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_the_nearest_colour_is_that_of_a_pixel_as_near_as_any(share):
    _, mask = picture(share=share)
    numbers = torch.arange(SIZE[0] * SIZE[1]).reshape(1, 1, *SIZE).double()
    places = fill_holes(numbers, mask, "nearest")[0, 0].long().numpy()
    rows, columns = np.divmod(places, SIZE[1])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    assert np.array_equal((rows - y) ** 2 + (columns - x) ** 2, nearest_squares(mask[0].numpy()))
    assert mask[0].numpy()[rows, columns].all()


def test_among_equally_near_pixels_the_upper_and_the_left_one():
    video = torch.tensor([[[[1.0, 0.0, 2.0]]]])
    mask = torch.tensor([[[True, False, True]]])
    assert fill_holes(video, mask, "nearest").flatten().tolist() == [1.0, 1.0, 2.0]
    upright = fill_holes(video.mT, mask.mT, "nearest")
    assert upright.flatten().tolist() == [1.0, 1.0, 2.0]


def test_diffusion_solves_laplace_s_equation():
    """A linear ramp is its own mean of neighbours: a hole in it is filled as if it had not been there."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    ramp = ((0.3 * x + 0.7 * y) / 32)[None, None]
    mask = torch.ones(1, 24, 32, dtype=torch.bool)
    mask[:, 6:17, 9:21] = False
    diffused = fill_holes(ramp, mask, "diffuse")
    assert float((diffused - ramp).abs().max()) < 0.01
    assert float((fill_holes(ramp, mask, "nearest") - ramp).abs().max()) > 0.05, "negative control"


def laplace_twin(image, mask):
    """Each hole is the mean of its neighbours, those beyond the border being itself."""
    height, width = mask.shape
    number = {tuple(place): index for index, place in enumerate(np.argwhere(~mask))}
    system = np.zeros((len(number), len(number)))
    right = np.zeros(len(number))
    for (row, column), index in number.items():
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            r, c = row + dy, column + dx
            if not (0 <= r < height and 0 <= c < width):
                continue
            system[index, index] += 1
            if mask[r, c]:
                right[index] += image[r, c]
            else:
                system[index, number[r, c]] -= 1
    filled = image.copy()
    for (row, column), value in zip(number, np.linalg.solve(system, right), strict=True):
        filled[row, column] = value
    return filled


@pytest.mark.parametrize("seed", range(3))
def test_more_diffusion_goes_to_the_solution_of_the_whole_system(seed, monkeypatch):
    image, mask = picture(seed, 0.3)
    wanted = laplace_twin(image[0, 0].double().numpy(), mask[0].numpy())
    errors = []
    for sweeps in (8, 32, 128):
        monkeypatch.setattr(hole_filling, "SWEEPS", sweeps)
        found = fill_holes(image[:, :1], mask, "diffuse")[0, 0].double().numpy()
        errors.append(np.abs(found - wanted).max())
    assert errors[0] > 2 * errors[1]
    assert errors[2] < 1e-4


@pytest.mark.parametrize("rule", ["black", "nearest", "diffuse"])
def test_what_is_seen_stays_and_nothing_leaves_its_range(rule):
    image, mask = picture(share=0.2)
    image, mask = image.repeat(3, 1, 1, 1), mask.repeat(3, 1, 1)
    mask[1], mask[2] = True, False
    found = fill_holes(image + 0.5, mask, rule)
    seen = mask[:, None].expand_as(image)
    assert torch.equal(found[seen], (image + 0.5)[seen])
    assert not bool(found[2].any()), "nothing is known of this frame"
    if rule == "black":
        assert not bool(found[~seen].any())
    else:
        assert float(found[0].min()) >= 0.5
        assert float(found[0].max()) <= 1.5


@pytest.mark.usefixtures("without_shape_hook")
def test_another_rule_is_refused():
    image, mask = picture()
    with pytest.raises(InputError, match="holes: got 'telea', want one of black, nearest, diffuse"):
        fill_holes(image, mask, "telea")
