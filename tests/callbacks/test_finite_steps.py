"""NaN is never success: a real trainer on a model of three weights, spoilt at a known step."""

from dataclasses import dataclass

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.utils.data import DataLoader

from mvt4g.callbacks.checkpoints import step_checkpoints
from mvt4g.callbacks.finite_steps import MOST_SKIPPED, FiniteSteps
from mvt4g.callbacks.fresh_metrics import FreshMetrics
from mvt4g.callbacks.step_checkpoints import StepCheckpoints
from mvt4g.types import RunStopped

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Clips:
    video: Tensor
    tracks: Tensor
    name: tuple[str, ...]

    def to(self, *args, **kwargs):
        return self


def samples(count: int, spoilt: dict[int, float]) -> list[Clips]:
    """Return batches of two clips each, with a value in the second clip of some of them."""
    generator, batches = torch.Generator().manual_seed(0), []
    for number in range(count):
        video = torch.rand(2, 3, generator=generator)
        if number in spoilt:
            video[1, 0] = spoilt[number]
        batches.append(Clips(video, torch.full((2, 1), NAN), (f"clip {number} a", f"clip {number} b")))
    return batches


class Line(LightningModule):
    def __init__(self, lr: float = 0.1, steep_at: int | None = None) -> None:
        super().__init__()
        self.weight, self.lr, self.steep_at = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0])), lr, steep_at

    def training_step(self, batch: Clips, batch_idx: int) -> Tensor:
        diff = ((batch.video @ self.weight) ** 2).mean()
        self.log("train/loss_diff", diff, batch_size=2)
        self.log("train/loss_track", diff.detach() * 0, batch_size=2)
        total = diff
        if batch_idx == self.steep_at:
            total = total + (self.weight[0] - self.weight[0]).sqrt()  # 0, whose derivative is infinite
        self.log("train/loss", total, batch_size=2)
        return total

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class AsOnAGPU(FiniteSteps):
    """Looks at a step while the next one runs."""

    def _looks_at_once(self, bad: Tensor) -> bool:
        return False


def fit(run, batches, model=None, on_nan="stop", accumulate=1, precision="32-true", every=1, kind=FiniteSteps):
    seed_everything(0, verbose=False)
    model = Line() if model is None else model
    finite = kind(run, on_nan)
    trainer = Trainer(
        max_steps=len(batches) // accumulate, callbacks=[FreshMetrics(), finite, StepCheckpoints(run, every)],
        accumulate_grad_batches=accumulate, precision=precision, logger=False, accelerator="cpu", devices=1,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=run, gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return model, finite


def stopped(run, *args, **options) -> str:
    with pytest.raises(RunStopped) as error:
        fit(run, *args, **options)
    for path in step_checkpoints(run).values():
        content = torch.load(path, weights_only=True)
        assert torch.isfinite(content["state_dict"]["weight"]).all(), "no checkpoint that is not finite"
    return str(error.value)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_data_that_are_not_finite_are_named(tmp_path, accumulate, precision):
    line = stopped(tmp_path, samples(8, {4: NAN}), accumulate=accumulate, precision=precision)
    step = 4 // accumulate + 1
    assert line.startswith(f"step {step}: train/loss_diff is nan, for data that is not finite: clip 4 b (video); ")
    assert f"the last checkpoint is step-{step - 1:08d}.ckpt" in line
    assert [*step_checkpoints(tmp_path)] == [step - 2, step - 1][-min(2, step - 1) :]


@pytest.mark.parametrize(("spoilt", "every", "kept"), [(4, 1, 4), (4, 3, 3), (0, 1, None), (7, 100, None)])
def test_a_step_that_is_looked_at_late_is_named_and_not_saved(tmp_path, spoilt, every, kept):
    line = stopped(tmp_path, samples(8, {spoilt: NAN}), every=every, kind=AsOnAGPU)
    assert line.startswith(f"step {spoilt + 1}: train/loss_diff is nan, for data that is not finite: clip {spoilt} b ")
    assert max(step_checkpoints(tmp_path), default=None) == kept


def test_values_too_large_to_square_name_the_clips(tmp_path):
    line = stopped(tmp_path, samples(4, {0: 1e30}))
    assert line.startswith("step 1: train/loss_diff is inf on clips clip 0 a, clip 0 b; there is no checkpoint")
    assert not step_checkpoints(tmp_path)


def test_a_gradient_alone(tmp_path):
    line = stopped(tmp_path, samples(5, {}), Line(steep_at=2))
    assert line.startswith("step 3: the gradient's norm is not finite; the last checkpoint is step-00000002.ckpt")


def test_weights_that_overflow_are_not_saved(tmp_path):
    line = stopped(tmp_path, samples(4, {}), Line(lr=INF))
    assert line.startswith("step 1: weights/weight is not finite, so nothing was saved; there is no checkpoint")
    assert not step_checkpoints(tmp_path)


def test_what_is_good_goes_through(tmp_path):
    model, finite = fit(tmp_path, samples(4, {}))
    assert (finite.skipped, [*step_checkpoints(tmp_path)]) == (0, [3, 4])
    assert not torch.equal(model.weight, Line().weight)


def by_hand(batches, accumulate, left_out, autocast) -> Tensor:
    """Return the weights after AdamW's steps on whole steps of batches, without some of them."""
    model = Line()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for step in range(len(batches) // accumulate):
        if step in left_out:
            continue
        optimizer.zero_grad()
        for batch in batches[step * accumulate : (step + 1) * accumulate]:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = ((batch.video @ model.weight) ** 2).mean() / accumulate
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.weight.detach()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_skipped_step_leaves_no_trace_and_is_counted(tmp_path, capsys, accumulate, precision):
    batches = samples(12, {2: NAN, 7: -INF})
    model, finite = fit(tmp_path, batches, on_nan="skip_step", accumulate=accumulate, precision=precision)
    left_out = {2 // accumulate, 7 // accumulate}
    wanted = by_hand(batches, accumulate, left_out, precision == "bf16-mixed")
    torch.testing.assert_close(model.weight.detach(), wanted, rtol=1e-6, atol=1e-6)
    assert (finite.skipped, finite.in_a_row) == (2, 0)
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"mvt4g: step {2 // accumulate + 1} is skipped: train/loss_diff is nan, for data")
    assert told[-1] == "mvt4g: 2 steps of this fit were skipped, for their loss or gradient was not finite"
    last = torch.load(max(step_checkpoints(tmp_path).items())[1], weights_only=True)
    assert last["callbacks"]["FiniteSteps"] == {"skipped": 2, "in_a_row": 0}


def test_a_fit_that_skips_all_stops(tmp_path):
    spoilt = dict.fromkeys(range(40), NAN)
    line = stopped(tmp_path, samples(40, spoilt), on_nan="skip_step")
    assert line.startswith(f"step {MOST_SKIPPED + 1}: {MOST_SKIPPED + 1} steps in a row were not finite")


def test_counts_survive_a_checkpoint(tmp_path):
    finite = FiniteSteps(tmp_path, "skip_step")
    finite.load_state_dict({"skipped": 5, "in_a_row": 1})
    assert finite.state_dict() == {"skipped": 5, "in_a_row": 1}


def test_what_a_step_did_not_log_is_not_logged_again(tmp_path):
    class Sometimes(Line):
        def training_step(self, batch, batch_idx):
            if batch_idx == 1:
                self.log("train/rare", 7.0, batch_size=2)
            known.append("train/rare" in self.trainer.logged_metrics)
            return super().training_step(batch, batch_idx)

        def on_train_batch_end(self, outputs, batch, batch_idx):
            known.append("train/rare" in self.trainer._logger_connector.metrics["log"])

    known: list[bool] = []
    fit(tmp_path, samples(4, {}), Sometimes())
    assert known[1::2] == [False, True, False, False]
