"""RAFT's surroundings: padding, range, weights; RAFT itself is torchvision's."""

import pytest
import torch
from torch import nn
from torchvision.models.optical_flow import raft_large

from mvt4g.metrics.networks.flow import RaftFlow, load_raft
from mvt4g.metrics.video.dynamic_degree import DynamicDegree
from mvt4g.types import InputError


class Recorder(nn.Module):
    """Stands in for RAFT: its flow says at every pixel where it is, and it keeps what it was given."""

    def forward(self, image1: torch.Tensor, image2: torch.Tensor, num_flow_updates: int) -> list[torch.Tensor]:
        self.seen, self.updates = (image1, image2), num_flow_updates
        rows, columns = torch.meshgrid(*(torch.arange(side) for side in image1.shape[-2:]), indexing="ij")
        flow = torch.stack([columns, rows]).float().expand(len(image1), -1, -1, -1)
        return [torch.zeros_like(flow), flow]


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, height, width, generator=generator), torch.rand(2, 3, height, width, generator=generator)


def test_frames_are_padded_by_their_border_and_the_flow_is_cut_back():
    net = Recorder()
    before, after = pair(131, 144)
    flow = RaftFlow(net)(before, after)
    assert net.updates == 20
    assert net.seen[0].shape == (2, 3, 136, 144)
    torch.testing.assert_close(net.seen[1][..., 2:133, :], 2 * after - 1)
    assert torch.equal(net.seen[0][..., 0, :], net.seen[0][..., 2, :])
    assert flow.shape == (2, 2, 131, 144)
    assert flow[0, :, 0, 0].tolist() == [0, 2]


@pytest.mark.parametrize("size", [(120, 300), (300, 64)], ids=str)
def test_frames_too_small_for_raft_are_refused_with_the_size_needed(size):
    with pytest.raises(InputError, match=rf"video: got frames of {size[0]}x{size[1]}, want at least 128x128"):
        RaftFlow(Recorder())(*pair(*size))


def test_121_pixels_are_padded_to_enough():
    assert RaftFlow(Recorder())(*pair(121, 128)).shape == (2, 2, 121, 128)


def test_weights_load_and_run(tmp_path):
    """Random weights: that they load and give a flow of the right size, not that the flow is right."""
    torch.save(raft_large(weights=None, progress=False).state_dict(), tmp_path / "raft.pth")
    metric = DynamicDegree(load_raft(tmp_path / "raft.pth", num_updates=1))
    metric.update(torch.rand(1, 3, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    assert metric.compute()["flow_magnitude_px"].isfinite()
    assert metric.state_dict() == {}


def test_weights_of_raft_s_authors_are_refused_by_name(tmp_path):
    torch.save({"module.fnet.conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "raft-things.pth")
    with pytest.raises(InputError, match=r"raft-things\.pth: .*unexpected: module\.fnet\.conv1\.weight"):
        load_raft(tmp_path / "raft-things.pth")


def test_no_updates_are_refused():
    with pytest.raises(InputError, match="num_updates: got 0"):
        RaftFlow(Recorder(), num_updates=0)
