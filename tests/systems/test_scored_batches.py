"""Batches that are scored once: what is found again, what is not, and that sums do not tell how they came about."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from mvt4g.metrics.video_names import VideoNames
from mvt4g.systems.bad_items import going_on, scored_before
from mvt4g.systems.scored_batches import Scored, ScoredBatches
from mvt4g.types import InputError

VALUES = (1.0, 2.0**-24, 3e-8, 2.0**-24, 0.7)
"""Whose sum in float32 depends on the order in which they are added."""


@dataclass(frozen=True)
class Item:
    name: str
    value: Tensor


class System(LightningModule):
    """Adds up values; keeps the names of its clips in a list, and the first one for a picture."""

    def __init__(self, batches: ScoredBatches | None, *further: Metric) -> None:
        super().__init__()
        self.mean, self.names, self.further = MeanMetric(), VideoNames(), torch.nn.ModuleList(further)
        self.shown: Tensor | None = None
        self.steps = 0
        callbacks = [SimpleNamespace(), SimpleNamespace(scored_batches=batches)]
        self._trainer = SimpleNamespace(testing=True, test_dataloaders=None, callbacks=callbacks)

    @going_on
    def test_step(self, batch: Item, batch_idx: int) -> str:
        self.steps += 1
        self.mean.update(batch.value)
        self.names.update([batch.name])
        if batch_idx == 0:
            self.shown = batch.value
        if batch.value < 0:
            raise InputError(f"got {batch.value}, want 0 or more")
        return "scored"

    @scored_before
    def validation_step(self, batch: Item, batch_idx: int) -> str:
        return "scored"

    def take_notes(self) -> dict[str, Tensor]:
        shown, self.shown = self.shown, None
        return {} if shown is None else {"shown": shown}

    def add_notes(self, notes: dict[str, Tensor]) -> None:
        self.shown = notes.get("shown", self.shown)


def items(values: tuple[float, ...] = VALUES) -> list[Item]:
    return [Item(f"clip{number}", torch.tensor(value)) for number, value in enumerate(values)]


def run(system: System, some: list[Item]) -> list[object]:
    """Run a test over some items, as far as a killed one comes, and return the outputs."""
    (batches,) = [found for callback in system._trainer.callbacks if (found := getattr(callback, "scored_batches", 0))]
    outputs = []
    for number, item in enumerate(some):
        outputs.append(system.test_step(item, number))
        batches.write()
    return outputs


def test_a_test_that_was_killed_ends_as_one_that_ran_through(tmp_path: Path) -> None:
    through = System(ScoredBatches(tmp_path / "through", {}))
    run(through, items())
    run(System(ScoredBatches(tmp_path / "killed", {})), items()[:3])
    again = System(ScoredBatches(tmp_path / "killed", {}))
    outputs = run(again, items())
    assert [isinstance(output, Scored) for output in outputs] == [True, True, True, False, False]
    assert again.steps == 2
    assert torch.equal(again.mean.compute(), through.mean.compute())
    assert again.names.names() == through.names.names() == [f"clip{number}" for number in range(5)]
    assert again.shown is not None
    assert float(again.shown) == pytest.approx(VALUES[0])
    assert again.mean._update_count == through.mean._update_count == 5


def test_the_order_of_sums_shows_in_these_values() -> None:
    """Without which the equality above would say nothing."""
    forwards, backwards = MeanMetric(), MeanMetric()
    for value in VALUES:
        forwards.update(value)
    for value in reversed(VALUES):
        backwards.update(value)
    assert not torch.equal(forwards.compute(), backwards.compute())


def test_a_batch_is_known_by_content_and_facts_alone(tmp_path: Path) -> None:
    batches, others = ScoredBatches(tmp_path, {"checkpoint": "a"}), ScoredBatches(tmp_path, {"checkpoint": "b"})
    item = Item("clip", torch.tensor([1.0, 2.0]))
    place = batches.place(item, 1)
    assert place == batches.place(Item("clip", torch.tensor([1.0, 2.0])), 7)
    different = [
        batches.place(item, 0),
        others.place(item, 1),
        batches.place(Item("clap", item.value), 1),
        batches.place(Item("clip", torch.tensor([1.0, 2.1])), 1),
        batches.place(Item("clip", item.value.double()), 1),
        batches.place(Item("clip", item.value[None]), 1),
        batches.place([item], 1),
        batches.place({"clip": item.value}, 1),
        batches.place(Item("clip", None), 1),  # type: ignore[arg-type]  # a field may be unknown
    ]
    assert len({place, *different}) == 1 + len(different)


def test_bits_that_numpy_has_no_type_for_are_told_apart(tmp_path: Path) -> None:
    batches = ScoredBatches(tmp_path, {})
    places = {batches.place(torch.tensor(value, dtype=torch.bfloat16), 1) for value in (1.0, 2.0, -0.0, 0.0)}
    assert len(places) == 4
    assert batches.place(torch.tensor([]), 1) != batches.place(torch.tensor([0.0]), 1)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_file_is_as_none(tmp_path: Path, damage: str) -> None:
    run(System(ScoredBatches(tmp_path, {})), items()[:1])
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    middle = content.index(torch.tensor(VALUES[0]).numpy().tobytes())
    if damage == "flipped":
        content[middle] ^= 1
    path.write_bytes({"cut": content[:-40], "flipped": content, "empty": b"", "text": b"no archive"}[damage])
    again = System(ScoredBatches(tmp_path, {}))
    assert run(again, items()[:1]) == ["scored"]
    assert float(again.mean.compute()) == pytest.approx(VALUES[0])
    assert isinstance(run(System(ScoredBatches(tmp_path, {})), items()[:1])[0], Scored), "it was not written anew"


def test_what_is_of_other_metrics_is_computed(tmp_path: Path) -> None:
    run(System(ScoredBatches(tmp_path, {})), items()[:1])
    other = System(ScoredBatches(tmp_path, {}), VideoNames())
    assert run(other, items()[:1]) == ["scored"]


def test_a_bad_item_is_tried_again_and_leaves_no_trace(tmp_path: Path) -> None:
    system = System(ScoredBatches(tmp_path, {}))
    outputs = run(system, items((1.0, -5.0, 3.0)))
    assert isinstance(outputs[1], InputError)
    assert float(system.mean.compute()) == 2.0
    assert system.names.names() == ["clip0", "clip2"]
    again = System(ScoredBatches(tmp_path, {}))
    run(again, items((1.0, -5.0, 3.0)))
    assert again.steps == 1


def test_a_metric_that_must_see_all_before_is_never_put_together(tmp_path: Path) -> None:
    class Whole(MeanMetric):
        full_state_update = True

    run(System(ScoredBatches(tmp_path, {}), Whole()), items()[:2])
    assert list(tmp_path.iterdir()) == []


def test_ranks_in_step_leave_out_a_batch_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(System(ScoredBatches(tmp_path, {})), items()[:1])
    for other_has_it in (True, False):
        monkeypatch.setattr("mvt4g.systems.scored_batches.gathered", lambda value, other=other_has_it: [value, other])
        system = System(ScoredBatches(tmp_path, {}))
        system._device_mesh = object()
        (output,) = run(system, items()[:1])
        assert isinstance(output, Scored) == other_has_it
        assert system.steps == (0 if other_has_it else 1)
        assert float(system.mean.compute()) == pytest.approx(VALUES[0])


def test_validation_within_a_fit_keeps_nothing(tmp_path: Path) -> None:
    assert System(None).validation_step(items()[0], 0) == "scored"
    batches = ScoredBatches(tmp_path, {})
    assert System(batches).validation_step(items()[0], 0) == "scored"
    batches.write()
    assert isinstance(System(batches).validation_step(items()[0], 0), Scored)


def test_remove_takes_all(tmp_path: Path) -> None:
    batches = ScoredBatches(tmp_path / "scored", {})
    batches.remove()
    run(System(batches), items())
    batches.remove()
    assert list(tmp_path.iterdir()) == []
