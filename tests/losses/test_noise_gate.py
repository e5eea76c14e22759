import pytest
import torch

from mvt4g.losses.noise_gate import NoiseGate
from mvt4g.types import InputError

SIGMA = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])


def test_by_default_every_level_counts_in_full():
    assert NoiseGate()(SIGMA).tolist() == [1.0] * 5


def test_by_hand():
    assert NoiseGate(low=0.25, high=0.5)(SIGMA).tolist() == [0, 1, 1, 0, 0]
    assert NoiseGate(power=2.0)(SIGMA).tolist() == [1, 0.5625, 0.25, 0.0625, 0]
    assert NoiseGate(high=0.6, power=1.0)(SIGMA).tolist() == [1, 0.75, 0.5, 0, 0]


@pytest.mark.parametrize("bad", [{"low": 0.5, "high": 0.5}, {"high": 1.1}, {"low": -0.1}, {"power": -1.0}])
def test_ranges_are_checked(bad):
    with pytest.raises(InputError, match=r"^gate.*: got"):
        NoiseGate(**bad)
