import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.models.condition_dropout import ConditionDropout
from mvt4g.systems.shown import drop_conditions
from mvt4g.types import REFERENCE, TARGET

BATCH = 400


@pytest.fixture
def latents():
    return torch.randn(BATCH, 2, 4, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def seen(latents, **settings):
    return drop_conditions(latents, ConditionDropout(**settings), FlowMatching(), torch.Generator().manual_seed(1))


def test_what_is_off_draws_nothing_and_changes_nothing(latents):
    generator = torch.Generator().manual_seed(1)
    all_of_it = drop_conditions(latents, ConditionDropout(), FlowMatching(), generator)
    assert all_of_it.latents is latents
    assert all_of_it.drop_text is None
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(1).get_state())


def test_text_alone_leaves_the_reference_clean(latents):
    some = seen(latents, text=0.25)
    assert torch.equal(some.latents, latents)
    assert some.drop_text.float().mean().item() == pytest.approx(0.25, abs=0.07)


def test_a_share_of_the_references_is_noise(latents):
    before = latents.clone()
    some = seen(latents, reference=0.25)
    assert torch.equal(latents, before), "nothing is written into the batch"
    assert torch.equal(some.latents[:, TARGET], before[:, TARGET])
    kept = (some.latents[:, REFERENCE] == before[:, REFERENCE]).flatten(1).all(dim=1)
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.07)
    noise, hidden = some.latents[~kept, REFERENCE].flatten(), before[~kept, REFERENCE].flatten()
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    assert abs(torch.corrcoef(torch.stack([noise, hidden]))[0, 1].item()) < 0.05


def test_references_are_noised_up_to_a_level(latents):
    some = seen(torch.full_like(latents, 3.0), reference_noise=0.4)
    sigma = 1 - some.latents[:, REFERENCE].flatten(1).mean(dim=1) / 3
    assert sigma.mean().item() == pytest.approx(0.2, abs=0.03)
    assert sigma.min() > -0.1
    assert sigma.max() < 0.5
    assert torch.equal(seen(torch.full_like(latents, 3.0), reference_noise=0.4).latents, some.latents)
