import pytest
import torch

from mvt4g.models.condition_dropout import ConditionDropout
from mvt4g.types import InputError


def drawn(**settings):
    return ConditionDropout(**settings).draw(20_000, torch.Generator().manual_seed(0))


def test_nothing_is_hidden_by_default():
    hidden = drawn()
    assert not hidden.drop_text.any()
    assert not hidden.reference_sigma.any()


def test_shares_are_those_asked_for():
    hidden = drawn(text=0.1, reference=0.2, reference_noise=0.5)
    gone = hidden.reference_sigma == 1
    assert hidden.drop_text.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert gone.float().mean().item() == pytest.approx(0.2, abs=0.01)
    rest = hidden.reference_sigma[~gone]
    assert rest.mean().item() == pytest.approx(0.25, abs=0.01)
    assert rest.max() <= 0.5
    assert (hidden.drop_text & gone).float().mean().item() == pytest.approx(0.02, abs=0.005), "drawn apart"


def test_everything_can_be_hidden():
    hidden = drawn(text=1.0, reference=1.0)
    assert hidden.drop_text.all()
    assert (hidden.reference_sigma == 1).all()


def test_draws_of_one_setting_do_not_move_another():
    assert torch.equal(drawn(text=0.3).drop_text, drawn(text=0.3, reference=0.5, reference_noise=1.0).drop_text)


def test_ranges_are_checked():
    with pytest.raises(InputError, match=r"condition_dropout\.reference: got 1\.5, want in \[0, 1\]"):
        ConditionDropout(reference=1.5)
