"""Devices that options ask for."""

import re

import pytest

from mvt4g.models.pretrained import choose_device
from mvt4g.types import InputError


def test_a_device_that_is_there():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda")


@pytest.mark.parametrize("device", ["4294967296", "", "gpu", "cuda:4096", "cpu:-1", "meta", "vulkan"])
def test_others_are_named(device):
    with pytest.raises(InputError, match=rf"--device: got {re.escape(device)} \(.*, want one that this machine has"):
        choose_device(device)
