import pytest
import torch

from mvt4g.data.loading import LoaderSpec, Survivors, collate, collate_survivors, raise_if_error
from mvt4g.types import Cameras, InputError, MultiViewClip


def clip(name, frames=1):
    cameras = Cameras(torch.eye(4).expand(2, frames, 4, 4), torch.eye(3).expand(2, frames, 3, 3))
    return MultiViewClip(torch.zeros(2, frames, 3, 4, 4), cameras, name)


def test_clips_are_stacked():
    assert collate([clip("a"), clip("b")]).name == ("a", "b")


def test_the_first_error_takes_the_batch_s_place():
    first = InputError("first")
    assert collate([clip("a"), first, InputError("second")]) is first


def test_clips_that_do_not_fit_come_back_as_an_error():
    error = collate([clip("a", 1), clip("b", 2)])
    assert isinstance(error, InputError)
    with pytest.raises(InputError, match="video: clips of one batch have different shapes"):
        raise_if_error(error)


def test_batches_pass():
    batch = clip("a")
    assert raise_if_error(batch) is batch


@pytest.mark.parametrize("field", ["batch_size", "prefetch_factor", "num_workers"])
def test_bad_settings_are_named(field):
    with pytest.raises(InputError, match=f"loader.{field}: got -1"):
        LoaderSpec(**{field: -1})


def test_settings_that_need_workers_are_left_out_without():
    assert set(LoaderSpec().worker_options()) == {"num_workers", "pin_memory"}
    assert set(LoaderSpec(num_workers=2).worker_options()) > {"prefetch_factor", "persistent_workers"}


def test_clips_of_a_list_survive_bad_ones():
    first, second = InputError("first"), InputError("second")
    assert collate_survivors([clip("a"), clip("b")]).name == ("a", "b")
    found = collate_survivors([first, clip("a"), second, clip("b")])
    assert isinstance(found, Survivors)
    assert found.batch is not None
    assert (found.batch.name, found.errors) == (("a", "b"), (first, second))
    assert collate_survivors([first, second]) == Survivors(None, (first, second))
