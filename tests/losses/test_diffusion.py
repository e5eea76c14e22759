import torch

from mvt4g.losses.diffusion import DiffusionLoss


def test_by_hand():
    velocity, truth = torch.zeros(2, 1, 1, 1, 2), torch.zeros(2, 1, 1, 1, 2)
    truth[0, ..., 0], truth[1, ..., 1] = 4, 2
    loss = DiffusionLoss()(velocity, truth, torch.tensor([0.5, 3.0]))
    assert loss.tolist() == [0.5 * 16 / 2, 3 * 4 / 2]


def test_clips_do_not_mix():
    velocity = torch.randn(3, 2, 2, 2, 2, requires_grad=True)
    loss = DiffusionLoss()(velocity, torch.randn(3, 2, 2, 2, 2), torch.ones(3))
    loss[1].backward()
    assert [clip.any().item() for clip in velocity.grad] == [False, True, False]


def test_low_precision_is_summed_in_fp32():
    velocity = torch.full((1, 16, 5, 16, 16), 1.0).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = DiffusionLoss()(velocity, torch.zeros(1, 16, 5, 16, 16).bfloat16(), torch.tensor([1.0]))
    assert loss.dtype == torch.float32
    assert loss.item() == 1


def test_no_weight_no_gradient():
    velocity = torch.randn(1, 1, 1, 1, 1, requires_grad=True)
    DiffusionLoss()(velocity, torch.zeros(1, 1, 1, 1, 1), torch.zeros(1)).sum().backward()
    assert not velocity.grad.any()
