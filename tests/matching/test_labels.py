"""Labels over cells: by hand, at borders, softness."""

import pytest
import torch

from mvt4g.matching.labels import cell_labels


def spread(xy, kind, height=3, width=4, sigma=1.0):
    """The label (height width) of one point, stride 8."""
    cells, share = cell_labels(torch.tensor(xy, dtype=torch.float64), 8, height, width, kind, sigma)
    return torch.zeros(height * width, dtype=torch.float64).index_add_(0, cells, share).reshape(height, width)


def test_hard_is_the_cell_under_the_point():
    assert spread([8.0, 23.9], "hard").nonzero().tolist() == [[2, 1]]
    assert spread([-5.0, 99.0], "hard").nonzero().tolist() == [[2, 0]]


def test_bilinear_by_hand():
    """At a centre one cell; three quarters to the right and a quarter down, four."""
    assert spread([12.0, 4.0], "bilinear").nonzero().tolist() == [[0, 1]]
    found = spread([12.0 + 6.0, 4.0 + 2.0], "bilinear")
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0, 1], expected[0, 2], expected[1, 1], expected[1, 2] = 0.25 * 0.75, 0.75**2, 0.25**2, 0.75 * 0.25
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["bilinear", "gaussian"])
@pytest.mark.parametrize("xy", [[0.0, 0.0], [32.0, 24.0], [31.9, 0.1], [-50.0, 1e6], [16.0, 12.0]])
def test_shares_add_up_to_one_wherever_the_point_is(kind, xy):
    assert spread(xy, kind).sum().item() == pytest.approx(1.0)


def test_bilinear_labels_have_their_centre_at_the_point():
    xy = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([24.0, 16.0]) + 4
    cells, share = cell_labels(xy, 8, 3, 4, "bilinear")
    centre = torch.stack([cells % 4 + 0.5, cells // 4 + 0.5], dim=-1) * 8
    torch.testing.assert_close((centre * share[..., None]).sum(dim=-2), xy)


def test_gaussian_grows_with_sigma_and_peaks_under_the_point():
    narrow, wide = (spread([13.0, 12.0], "gaussian", sigma=sigma) for sigma in (0.3, 1.5))
    assert narrow.argmax().item() == wide.argmax().item() == 5
    assert narrow[1, 1] > 0.95
    assert wide[1, 1] < 0.3
    assert narrow[1, 2] > narrow[1, 0], "the point lies right of the centre"
    assert wide[0, 1].item() == pytest.approx(wide[2, 1].item())


def test_one_cell_takes_all():
    for kind in ("hard", "bilinear", "gaussian"):
        assert spread([3.0, 5.0], kind, height=1, width=1).item() == pytest.approx(1.0)
