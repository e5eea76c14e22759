import pytest
import torch

from mvt4g.matching.tokens import (
    cell_centre,
    cell_of_pixels,
    flat_cell,
    interpolate_frames,
    latent_frame_of,
    unflat_cell,
)
from mvt4g.types import InputError

WAN_TIMES = torch.tensor([0, 4, 8, 12])


def test_known_cells():
    xy = torch.tensor([[0.0, 0.0], [15.99, 16.0], [831.9, 479.9], [8.0, 24.0]])
    assert cell_of_pixels(xy, 16).tolist() == [[0, 0], [0, 1], [51, 29], [0, 1]]
    assert cell_centre(torch.tensor([[0, 0], [51, 29]]), 16).tolist() == [[8.0, 8.0], [824.0, 472.0]]


def test_a_cells_centre_lies_in_it():
    cells = torch.stack(torch.meshgrid(torch.arange(52), torch.arange(30), indexing="ij"), dim=-1)
    assert torch.equal(cell_of_pixels(cell_centre(cells, 16), 16), cells)
    flat = flat_cell(cells, 30, 52)
    assert torch.equal(unflat_cell(flat, 52), cells)
    assert sorted(flat.flatten().tolist()) == list(range(30 * 52))


def test_flat_cell_holds_outside_at_the_border():
    assert flat_cell(torch.tensor([[-3, 2], [9, 7], [2, 1]]), height=4, width=5).tolist() == [10, 19, 7]


def test_latent_frames_between_and_beyond():
    lower, upper, weight = latent_frame_of(torch.tensor([0.0, 4.0, 5.0, 11.0, 12.0, 14.0, -1.0]), WAN_TIMES)
    assert lower.tolist() == [0, 1, 1, 2, 3, 3, 0]
    assert upper.tolist() == [1, 2, 2, 3, 3, 3, 1]
    assert weight.tolist() == [0.0, 0.0, 0.25, 0.75, 0.0, 0.0, 0.0]


def test_a_single_latent_frame():
    lower, upper, weight = latent_frame_of(torch.tensor([0.0, 3.0]), torch.tensor([0]))
    assert (lower.tolist(), upper.tolist(), weight.tolist()) == ([0, 0], [0, 0], [0.0, 0.0])


def test_interpolation_is_exact_for_linear_motion():
    times = WAN_TIMES.float()
    tracks = torch.stack([3 * times + 1, -2 * times], dim=-1)[:, None]
    frames = torch.arange(13.0)
    expected = torch.stack([3 * frames + 1, -2 * frames], dim=-1)[:, None]
    torch.testing.assert_close(interpolate_frames(tracks, WAN_TIMES, 13), expected)
    assert torch.equal(interpolate_frames(tracks, WAN_TIMES, 13)[::4], tracks)


def test_stretching_latents_over_the_frames_would_be_late():
    """Negative control: resizing 4 latents to 13 frames, corners not aligned, puts latent 1 at frame 4.375."""
    tracks = torch.tensor([0.0, 4.0, 8.0, 12.0])[:, None, None]
    right = interpolate_frames(tracks, WAN_TIMES, 13)
    stretched = torch.nn.functional.interpolate(tracks.reshape(1, 1, 4), size=13, mode="linear").flatten()
    assert torch.equal(right.flatten(), torch.arange(13.0))
    assert (stretched - right.flatten()).abs().max() > 0.5


def test_frames_after_the_last_latent_repeat_it():
    tracks = torch.rand(2, 4, 3, 2)
    longer = interpolate_frames(tracks, WAN_TIMES, 15)
    assert longer.shape == (2, 15, 3, 2)
    assert torch.equal(longer[:, 13], tracks[:, 3])
    assert torch.equal(longer[:, 14], tracks[:, 3])


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="num_frames: got 12"):
        interpolate_frames(torch.zeros(4, 1, 2), WAN_TIMES, 12)
