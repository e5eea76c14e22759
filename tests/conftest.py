"""Settings of every test: weights drawn alike whatever ran before, property tests that give the same answer twice."""

import os

import hypothesis
import jaxtyping
import pytest
import torch

# The package is not imported here: the jaxtyping hook of pyproject.toml must come first.
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _same_weights_in_any_order():
    """Layers draw their weights from torch's global generator; nothing else of ours may."""
    torch.manual_seed(0)


@pytest.fixture
def without_shape_hook():
    """Let wrong shapes reach our own checks, as they do for users: the hook would refuse them first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
