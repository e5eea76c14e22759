import math

import numpy as np
import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching, velocity_target
from mvt4g.types import InputError


def table(shift, count):
    """The training levels, one by one."""
    return [shift * (u / count) / (1 + (shift - 1) * (u / count)) for u in range(count, 0, -1)]


def test_sampling_levels_by_hand():
    sigmas = FlowMatching(shift=5.0).sampling_sigmas(4)
    torch.testing.assert_close(sigmas, torch.tensor([1.0, 3.75 / 4, 2.5 / 3, 1.25 / 2, 0.0]))


def test_sampling_levels_are_diffsynths():
    """What diffusers' scheduler gives for ``shift=5, sigmas=np.linspace(1, 0, 51)[:-1]``; t = 995.93 comes second."""
    u = np.linspace(1, 0, 51)[:-1]
    sigmas = FlowMatching(shift=5.0).sampling_sigmas(50)
    assert np.abs(sigmas[:-1].numpy() - 5 * u / (1 + 4 * u)).max() < 1e-7
    assert 1000 * sigmas[1].item() == pytest.approx(995.93, abs=5e-3)
    assert sigmas[-1] == 0


def test_unshifted_levels_are_even():
    torch.testing.assert_close(FlowMatching(shift=1.0).sampling_sigmas(2), torch.tensor([1.0, 0.5, 0.0]))


def test_training_draws_come_from_the_table():
    flow = FlowMatching(shift=5.0)
    draws = flow.draw_sigmas(20_000, torch.Generator().manual_seed(0))
    levels = torch.tensor(table(5, 1000), dtype=torch.float64)
    assert (draws.double()[:, None] - levels).abs().amin(1).max() < 1e-7
    assert draws.max() == 1
    # Sigma over 0.5 is u over 1/6: 83.4 % of the table.
    assert (draws > 0.5).double().mean().item() == pytest.approx(0.834, abs=0.01)
    assert torch.equal(draws, flow.draw_sigmas(20_000, torch.Generator().manual_seed(0)))


def test_weight_by_hand():
    flow = FlowMatching(shift=5.0)
    bells = [math.exp(-2 * (sigma - 0.5) ** 2) - math.exp(-0.5) for sigma in table(5, 1000)]
    mean = sum(bells) / 1000
    weights = flow.weight(torch.tensor([0.5, 1.0, 0.25]))
    assert weights[0].item() == pytest.approx((1 - math.exp(-0.5)) / mean, rel=1e-5)
    assert weights[0].item() == pytest.approx(2.076, abs=1e-3)
    assert weights[1].item() == pytest.approx(0, abs=1e-6)
    assert weights[2].item() == pytest.approx((math.exp(-0.125) - math.exp(-0.5)) / mean, rel=1e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("weighting", ["gaussian", "uniform"])
def test_weights_average_one_and_are_never_negative(shift, weighting):
    weights = FlowMatching(shift=shift, weighting=weighting).weight(torch.tensor(table(shift, 1000)))
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    assert weights.min() >= -1e-6


def test_path_by_hand():
    flow = FlowMatching()
    sample, noise = torch.full((3, 2), 2.0), torch.full((3, 2), 10.0)
    noisy = flow.add_noise(sample, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert noisy.tolist() == [[2, 2], [4, 4], [10, 10]]
    assert velocity_target(sample, noise).tolist() == [[8, 8]] * 3


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
def test_a_true_prediction_gives_the_true_velocity_and_sample(prediction):
    flow = FlowMatching(prediction=prediction)
    sample, noise, sigma = torch.randn(4, 3, 2), torch.randn(4, 3, 2), torch.tensor([0.06, 0.3, 0.7, 1.0])
    noisy = flow.add_noise(sample, noise, sigma)
    output = sample if prediction == "sample" else velocity_target(sample, noise)
    torch.testing.assert_close(flow.velocity(output, noisy, sigma), noise - sample, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(flow.sample(output, noisy, sigma), sample, rtol=1e-4, atol=1e-4)


def test_sample_prediction_is_finite_without_noise():
    flow = FlowMatching(prediction="sample", sigma_floor=0.05)
    velocity = flow.velocity(torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(1))
    assert velocity.item() == pytest.approx(20)


@pytest.mark.parametrize(("name", "value"), [("shift", 0.0), ("shift", -1.0), ("num_train_timesteps", 1)])
def test_bad_settings_are_named(name, value):
    with pytest.raises(InputError, match=f"{name}: got {value}"):
        FlowMatching(**{name: value})
    with pytest.raises(InputError, match="num_steps: got 0"):
        FlowMatching().sampling_sigmas(0)


def test_the_network_is_told_the_level_itself():
    sigma = torch.rand(5)
    assert FlowMatching().timestep(sigma) is sigma


def test_bf16_timesteps_are_diffsynths():
    """What DiffSynth's trainer does, level by level: round t to bf16, then look up the level nearest to it."""
    exact = torch.tensor(table(5, 1000), dtype=torch.float64)
    told = [1000.0 * sigma for sigma in exact.float().tolist()]
    told = torch.tensor(told).bfloat16().double()
    nearest = exact[torch.stack([(1000 * exact - t).abs().argmin() for t in told])]
    flow = FlowMatching(bf16_timestep=True)
    draws = flow.draw_sigmas(200_000, torch.Generator().manual_seed(0))
    assert set(draws.tolist()) == set(nearest.float().tolist())
    assert len(set(draws.tolist())) == len(set(told.tolist())) == 294
    assert len(set(FlowMatching().draw_sigmas(200_000, torch.Generator().manual_seed(0)).tolist())) == 1000
    assert (1000 * flow.timestep(nearest.float()) - told.float()).abs().max() < 1e-3, "what is drawn is told unchanged"
    assert 1000 * flow.timestep(torch.tensor(0.99593)).item() == pytest.approx(996, abs=1e-3)
    coarse = sorted(set((1000 * flow.timestep(draws)).round().int().tolist()))
    assert all(t % 4 == 0 for t in coarse if t > 512), "steps of 4 above 512"
