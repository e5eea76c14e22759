import pytest
import torch

from mvt4g.models.tracking.upsampler import FeatureUpsampler, reduced


def test_a_tokens_block_depends_on_that_token_alone():
    """Uncentred; centred, also on the mean of its clip, and of that clip alone."""
    upsampler = FeatureUpsampler(token_dim=6, channels=4, factor=2, hidden=8, centred=False)
    tokens = torch.randn(2, 1, 3, 5, 6)
    centred = FeatureUpsampler(token_dim=6, channels=4, factor=2, hidden=8)
    before, before_centred = upsampler(tokens), centred(tokens)
    assert before.shape == (2, 1, 6, 10, 4)
    tokens[1, 0, 2, 1] += 1.0
    changed = (upsampler(tokens) != before).any(dim=-1)
    expected = torch.zeros(2, 1, 6, 10, dtype=torch.bool)
    expected[1, 0, 4:6, 2:4] = True
    assert torch.equal(changed, expected)
    after_centred = centred(tokens)
    assert torch.equal(after_centred[0], before_centred[0])
    assert (after_centred[1] != before_centred[1]).any(dim=-1).all()


@pytest.mark.parametrize("upsampling", ["shuffle", "bilinear"])
def test_what_all_cells_share_hides_nothing_once_it_is_taken_away(upsampling):
    """Tokens that share a vector ten times their own size: correlations then spread over [-1, 1], else around 1."""
    torch.manual_seed(0)
    tokens = torch.randn(1, 2, 8, 8, 16)
    shared = tokens + 40 * torch.nn.functional.normalize(torch.randn(16), dim=0)

    def correlations(centred, given):
        torch.manual_seed(1)
        maps = FeatureUpsampler(16, 16, 1, 8, upsampling, centred)(given).flatten(0, 3)
        return maps @ maps.T

    spread, kept = correlations(True, shared).std(), correlations(True, tokens).std()
    assert 0.2 < spread < 0.35
    assert abs(spread - kept) < 0.02
    assert correlations(False, shared).std() < 0.05
    assert correlations(False, shared).mean() > 0.9


def test_features_start_with_unit_length():
    features = FeatureUpsampler(16, 8, 4, 8)(torch.randn(1, 1, 3, 3, 16))
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(1, 1, 12, 12), rtol=1e-4, atol=1e-4)


def test_factor_one_keeps_the_grid_and_zero_tokens_stay_finite():
    upsampler = FeatureUpsampler(6, 4, 1, 8)
    tokens = torch.zeros(1, 1, 2, 3, 6, requires_grad=True)
    features = upsampler(tokens)
    features.square().sum().backward()
    assert features.shape == (1, 1, 2, 3, 4)
    assert torch.isfinite(features).all()
    assert torch.isfinite(tokens.grad).all()


def test_without_pixel_shuffle_cells_are_bilinear_between_tokens():
    upsampler = FeatureUpsampler(2, 2, 4, 8, "bilinear", centred=False)
    torch.nn.init.zeros_(upsampler.detail.weight)
    upsampler.project.weight.data = torch.eye(2)
    upsampler.norm = torch.nn.Identity()
    tokens = torch.tensor([[[[[0.0, 1.0], [8.0, 1.0]]]]])
    features = upsampler(tokens)
    assert features.shape == (1, 1, 4, 8, 2)
    assert features[0, 0, 0, :, 0].tolist() == [0, 0, 1, 3, 5, 7, 8, 8]
    assert (features[..., 1] == 1).all()


def test_without_pixel_shuffle_features_start_with_unit_length():
    features = FeatureUpsampler(16, 8, 4, 8, "bilinear")(torch.randn(1, 1, 3, 3, 16))
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(1, 1, 12, 12), rtol=1e-4, atol=1e-4)


def test_reduction_by_known_values():
    maps = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert reduced(maps, 1) is maps
    assert reduced(maps, 2)[0, :, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert reduced(maps, 4).flatten().tolist() == [7.5]
    assert reduced(maps, 9).shape == (1, 1, 1, 1)
    assert reduced(torch.zeros(2, 8, 13, 3), 3).shape == (2, 3, 4, 3)


def test_reductions_tile_the_same_image():
    """Cell i of a map of n cells keeps its centre at (i + 0.5) / n of the image, also where 3 does not divide n."""
    ramp = ((torch.arange(32) + 0.5) / 32).expand(1, 32, 32)[..., None]
    small = reduced(ramp, 3)[0, 0, :, 0]
    torch.testing.assert_close(small, (torch.arange(11) + 0.5) / 11, rtol=0, atol=0.015)
