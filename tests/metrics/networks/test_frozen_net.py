"""A frozen network follows the metric to its device, and nowhere else."""

import torch
from torch import nn

from mvt4g.metrics.networks.frozen_net import FrozenNet


def test_it_follows_to_another_device_and_stays_there_when_the_owner_changes_type():
    net = nn.Linear(2, 2)
    owner = nn.Sequential(FrozenNet(net))
    owner.to("meta")
    for change in (owner.half, owner.double, lambda: owner.to(torch.bfloat16), lambda: owner.type(torch.float16)):
        change()
        assert net.weight.device.type == "meta"
        assert net.weight.dtype == torch.float32


def test_a_net_without_weights_and_a_function_have_nowhere_to_go():
    for net in (nn.ReLU(), torch.relu):
        frozen = FrozenNet(net).to("meta")
        assert frozen(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
