"""Under bf16-mixed the network computes in bf16; cameras, tracks, rays, losses and matching stay fp32."""

import dataclasses

import pytest
import torch

from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.losses.track import TrackLoss
from mvt4g.matching import rows
from mvt4g.models.conditioning import plucker, relative_pose
from mvt4g.models.layers.attention import SelfAttention
from mvt4g.models.tracking import head
from tests.systems.two_ranks import batches, build, fit, whole

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
SPIED = {
    "rays": (plucker, "plucker_rays"),
    "poses": (relative_pose.RelativePoseEncoder, "forward"),
    "rays of the head": (head, "plucker_at"),
    "tracks": (head.TrackingHead, "forward"),
    "L_diff": (DiffusionLoss, "forward"),
    "L_track": (TrackLoss, "forward"),
    "L_corr": (CorrespondenceLoss, "forward"),
    "matching": (rows, "_frame_logits"),
    "attention": (SelfAttention, "forward"),
}


def dtypes_in(value):
    """Yield the dtype of every floating tensor in a value."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value.dtype
    elif dataclasses.is_dataclass(value):
        yield from dtypes_in([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, dict):
        yield from dtypes_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from dtypes_in(part)


@pytest.fixture
def results(monkeypatch):
    """Return a dict that takes the dtypes of what every spied function returns."""
    found = {}
    for name, (owner, attribute) in SPIED.items():

        def spy(*args, _name=name, _function=getattr(owner, attribute), **options):
            result = _function(*args, **options)
            found.setdefault(_name, set()).update(dtypes_in(result))
            return result

        monkeypatch.setattr(owner, attribute, spy)
    return found


def one_step(precision):
    seen, trainer, _ = fit(build(), batches(0), steps=1, precision=precision)
    assert all(whole(value).dtype == torch.float32 for value in trainer.lightning_module.parameters())
    return seen.losses[0]


def test_a_step_under_bf16_mixed(results):
    full = one_step("32-true")
    assert results.keys() == SPIED.keys()
    assert set.union(*results.values()) == {torch.float32}
    results.clear()
    mixed = one_step("bf16-mixed")
    assert torch.bfloat16 in results.pop("attention"), "negative control: the network does compute in bf16"
    assert set.union(*results.values()) == {torch.float32}, results
    assert 1e-5 < abs(mixed - full) / full < 0.05
