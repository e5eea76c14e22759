"""Steps that go on after a bad item: what they return, and that no score keeps a trace of it."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

from mvt4g.data.shares import ShareSampler
from mvt4g.metrics.video_names import VideoNames
from mvt4g.systems.bad_items import Repeated, going_on
from mvt4g.types import InputError


class System(LightningModule):
    """Counts a batch in a sum and in a list, and then finds out that a negative one is bad."""

    def __init__(self, loader: object = None) -> None:
        super().__init__()
        self.mean, self.names = MeanMetric(), VideoNames()
        self._trainer = SimpleNamespace(testing=True, test_dataloaders=loader)

    @going_on
    def test_step(self, batch: SimpleNamespace, batch_idx: int) -> str:
        self.mean.update(batch.value)
        self.names.update([batch.name])
        if batch.value < 0:
            raise InputError(f"got {batch.value}, want 0 or more")
        return "scored"


def item(name: str, value: float) -> SimpleNamespace:
    return SimpleNamespace(name=name, value=torch.tensor(value))


def test_a_bad_item_leaves_no_trace_in_the_scores() -> None:
    system = System()
    outputs = [system.test_step(item(name, value), 0) for name, value in (("a", 1.0), ("b", -5.0), ("c", 3.0))]
    assert outputs[::2] == ["scored", "scored"]
    assert isinstance(outputs[1], InputError)
    assert outputs[1].item == "b"
    assert float(system.mean.compute()) == 2.0
    assert system.names.names() == ["a", "c"]


def test_an_error_in_a_clip_s_place_comes_back() -> None:
    error = InputError("a.mp4: broken")
    system = System()
    assert system.test_step(error, 0) is error
    assert not system.mean.update_called


def test_a_repeated_batch_counts_nowhere() -> None:
    items = [0]
    loader = DataLoader(items, sampler=ShareSampler(items, 1, rank=1, world=2))  # type: ignore[arg-type]
    system = System(loader)
    assert isinstance(system.test_step(item("a", 1.0), 0), Repeated)
    assert not system.mean.update_called
    system._device_mesh = object()  # ranks wait for one another: it is run, and undone
    assert isinstance(system.test_step(item("a", 1.0), 0), Repeated)
    assert not system.mean.update_called
    assert system.names.names() == []


def test_ranks_that_run_in_step_stop_at_a_bad_item() -> None:
    system = System()
    system._device_mesh = object()
    with pytest.raises(InputError, match="got -1"):
        system.test_step(item("a", -1.0), 0)
