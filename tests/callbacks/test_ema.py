"""EMA: its decay by hand, trainable parameters alone, training weights put back bit for bit."""

from unittest.mock import MagicMock

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn, TrainerState

from mvt4g.callbacks.ema import EMA
from mvt4g.types import InputError


class Two(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0]))
        self.frozen = torch.nn.Parameter(torch.tensor([5.0]), requires_grad=False)


def step(ema: EMA, module: Two, value: float, number: int) -> None:
    module.weight.data.fill_(value)
    ema.on_train_batch_end(trainer_at(number), module, None, None, 0)


def trainer_at(number: int) -> Trainer:
    return MagicMock(spec=Trainer, global_step=number)


@pytest.fixture
def running() -> tuple[EMA, Two]:
    ema, module = EMA(), Two()
    ema.on_fit_start(trainer_at(0), module)
    return ema, module


def test_first_steps_by_hand(running):
    ema, module = running
    step(ema, module, 2.0, 1)  # decay (1 + 0) / (10 + 0) = 0.1
    assert ema.average["weight"].item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    step(ema, module, 3.0, 2)  # decay 2 / 11
    assert ema.average["weight"].item() == pytest.approx(2 / 11 * 1.9 + 9 / 11 * 3)
    assert set(ema.average) == {"weight"}


def test_micro_batches_of_one_step_count_once(running):
    ema, module = running
    step(ema, module, 2.0, 1)
    before = ema.average["weight"].clone()
    step(ema, module, 9.0, 1)
    assert torch.equal(ema.average["weight"], before)


def test_validation_sees_the_average_and_training_weights_return(running):
    ema, module = running
    step(ema, module, 2.0, 1)
    kept = module.weight.detach().clone()
    ema.on_validation_start(trainer_at(1), module)
    assert module.weight.item() == pytest.approx(1.9)
    ema.on_validation_end(trainer_at(1), module)
    assert torch.equal(module.weight, kept)


def test_state_survives_a_checkpoint(running):
    ema, module = running
    step(ema, module, 2.0, 1)
    other = EMA()
    other.load_state_dict(ema.state_dict())
    assert other.num_updates == 1
    assert torch.equal(other.average["weight"], ema.average["weight"])


def loaded(checkpoint, command: str) -> None:
    trainer = MagicMock(spec=Trainer, state=TrainerState(fn=TrainerFn(command)))
    EMA().on_load_checkpoint(trainer, Two(), {"callbacks": checkpoint})


@pytest.mark.parametrize(("command", "says"), [("fit", "starts anew"), ("test", "the training weights are used")])
def test_a_checkpoint_without_an_average_is_told_of(capsys, command, says):
    loaded({}, command)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"average": {}, "num_updates": 3}, "1 missing: weight"),
        ({"average": {"weight": torch.zeros(2)}, "num_updates": 3}, "1 mis-shaped: weight"),
        ({"average": {"weight": torch.zeros(1)}}, "without num_updates"),
        ({"num_updates": 3}, "average missing"),
        ([], "without num_updates"),
    ],
)
def test_an_average_of_another_model_is_refused(state, says):
    loaded({"EMA": {"average": {"weight": torch.zeros(1)}, "num_updates": 3}}, "fit")
    with pytest.raises(InputError, match=says):
        loaded({"EMA": state}, "fit")


def test_decay_must_be_below_one():
    with pytest.raises(InputError, match=r"EMA\.max_decay: got 1\.0"):
        EMA(1.0)
