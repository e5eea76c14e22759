"""The second device of the other tests fails where a GPU fails, and nowhere else."""

import pytest
import torch

from tests.pretend_device import SECOND, brought_back, second_device, sent

HERE = torch.arange(3.0)
MIXED = {
    "a sum": lambda there: there + HERE,
    "where": lambda there: torch.where(there > 1, there, HERE),
    "a product": lambda there: torch.eye(3) @ there,
    "stack": lambda there: torch.stack([there.sum(), HERE.sum()]),
    "an index of the CPU's tensor": lambda there: HERE[there.long()],
    "gather": lambda there: there.gather(0, HERE.long()),
    "in place": lambda there: torch.zeros(3).add_(there),
}
ALLOWED = {
    "a sum": lambda values: values + values.new_ones(3),
    "a scalar of the CPU": lambda values: values * torch.tensor(2.0),
    "an index of the CPU": lambda values: values[torch.tensor([2, 0])],
    "a list": lambda values: values[[2, 0]],
    "in place": lambda values: values.clone().add_(values),
    "a view written to": lambda values: written(values.clone()),
    "a literal": lambda values: values - torch.tensor([1.0, 2.0, 3.0], device=values.device),
    "new": lambda values: values - values.new_tensor([1.0, 2.0, 3.0]),
    "there and back": lambda values: values.cpu().to(values.device),
    "a branch": lambda values: values if bool((values > 1).any()) else -values,
}


def written(values: torch.Tensor) -> torch.Tensor:
    values[1:] += 5
    return values


@pytest.mark.parametrize("operation", MIXED)
def test_mixing_devices_fails(operation):
    with second_device(), pytest.raises(RuntimeError, match="of two devices"):
        MIXED[operation](sent(HERE))


@pytest.mark.parametrize("operation", ALLOWED)
def test_the_rest_gives_the_numbers_of_the_cpu(operation):
    with second_device():
        found = ALLOWED[operation](sent(HERE))
        assert found.device == SECOND
        assert torch.equal(brought_back(found), ALLOWED[operation](HERE))


def test_what_stays_on_the_cpu_is_told():
    with second_device(), pytest.raises(AssertionError, match="want it on the other device"):
        brought_back(sent(HERE).cpu())
