import pytest

from mvt4g.losses.step_gate import StepGate
from mvt4g.types import InputError


def test_by_default_every_step_counts_in_full():
    assert [StepGate()(step) for step in (0, 1, 10**6)] == [1.0] * 3
    assert [StepGate(fall_from=5)(step) for step in (0, 5, 10**6)] == [1.0] * 3


def test_by_hand():
    assert [StepGate(fall_from=10, fall_to=20)(step) for step in (0, 10, 15, 19, 20, 99)] == [1, 1, 0.5, 0.1, 0, 0]
    assert [StepGate(fall_to=4, last=0.2)(step) for step in (0, 2, 4, 5)] == pytest.approx([1, 0.6, 0.2, 0.2])


@pytest.mark.parametrize("bad", [{"fall_from": -1}, {"fall_from": 3, "fall_to": 3}, {"last": 1.5}, {"last": -0.1}])
def test_ranges_are_checked(bad):
    with pytest.raises(InputError, match=r"^steps.*: got"):
        StepGate(**bad)
