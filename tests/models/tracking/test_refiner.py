import torch

from mvt4g.models.tracking.refiner import Refiner


def make_refiner(virtual=3):
    torch.manual_seed(0)
    refiner = Refiner(token_dim=5, width=16, num_heads=2, num_blocks=2, num_virtual=virtual, mlp_ratio=2).double()
    torch.nn.init.normal_(refiner.to_residual.weight)
    return refiner


def changes(refiner, edit, shape=(2, 2, 3, 4, 5)):
    """Where (b v f n) the residuals move when ``edit`` changes the tokens."""
    tokens, context = torch.randn(shape, dtype=torch.float64), torch.zeros(*shape[:-1], 16, dtype=torch.float64)
    before = refiner(tokens, context)
    edited = tokens.clone()
    edit(edited)
    return ((refiner(edited, context) - before).abs() > 1e-9).any(dim=-1)


def test_residuals_start_small():
    refiner = Refiner(5, 16, 2, 2, 3, 2)
    residual = refiner(torch.randn(1, 2, 3, 4, 5), torch.zeros(1, 2, 3, 4, 16))
    assert residual.shape == (1, 2, 3, 4, 4)
    assert residual.abs().max() < 0.05


def test_every_token_hears_of_every_other_of_its_clip_and_of_no_other_clip():
    def edit(tokens):
        tokens[0, 1, 2, 3] += 1.0

    changed = changes(make_refiner(), edit)
    assert changed[0].all()
    assert not changed[1].any()


def test_the_order_of_points_does_not_matter():
    refiner = make_refiner()
    tokens, context = torch.randn(1, 2, 3, 4, 5, dtype=torch.float64), torch.randn(1, 2, 3, 4, 16, dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = refiner(tokens[:, :, :, order], context[:, :, :, order])
    torch.testing.assert_close(shuffled, refiner(tokens, context)[:, :, :, order])


def test_any_number_of_views_frames_and_points():
    refiner = make_refiner()
    for views, frames, points in ((2, 1, 1), (3, 5, 2), (4, 2, 7)):
        tokens = torch.randn(1, views, frames, points, 5, dtype=torch.float64)
        context = torch.zeros(1, views, frames, points, 16, dtype=torch.float64)
        assert refiner(tokens, context).shape == (1, views, frames, points, 4)


def test_virtual_points_may_be_given_once_or_for_every_view_and_frame():
    block = make_refiner().blocks[0]
    points, virtual = torch.randn(2, 2, 3, 4, 16).double(), torch.randn(1, 1, 1, 3, 16).double()
    once, everywhere = block(points, virtual), block(points, virtual.expand(2, 2, 3, 3, 16))
    torch.testing.assert_close(once, everywhere)
    apart = virtual + torch.randn(2, 2, 3, 3, 16)
    assert (block(points, apart)[0] - once[0]).abs().max() > 1e-3
