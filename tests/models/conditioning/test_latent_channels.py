"""More channels of the latents, such as a rendered video and its mask, by the door that all conditionings take."""

import pytest
import torch

from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.conditioning.latent_channels import LatentChannels
from mvt4g.types import Conditions, InputError
from tests.models.small_backbones import GRID, make_loud, small_config, small_inputs


def told() -> ReCamMaster:
    torch.manual_seed(0)
    config = small_config(in_channels=GRID.channels + 2)
    return make_loud(ReCamMaster(config, GRID, [LatentChannels(2)], null_text_length=3)).eval()


def asked(backbone, channels=None):
    inputs = small_inputs()
    return backbone(**{name: inputs[name] for name in inputs if name != "text"}, conditions=channels).velocity


@torch.no_grad()
def test_nothing_given_is_zeros_and_each_view_has_its_own():
    backbone = told()
    plain = asked(backbone, Conditions())
    zeros = torch.zeros(2, 2, 2, 3, 4, 6)
    assert torch.equal(asked(backbone, Conditions(channels=zeros)), plain)
    for view in (0, 1):
        more = zeros.clone()
        more[:, view] = 1.0
        assert (asked(backbone, Conditions(channels=more)) - plain).norm() / plain.norm() > 0.01
    swapped = torch.stack([zeros[:, 0] + 1, zeros[:, 1]], dim=1)
    both = [asked(backbone, Conditions(channels=more)) for more in (swapped, swapped.flip(1))]
    assert not torch.allclose(*both)


def test_channels_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"conditions\.channels: got 3, want 2"):
        asked(told(), Conditions(channels=torch.zeros(2, 2, 3, 3, 4, 6)))
    with pytest.raises(InputError, match=r"dit\.in_channels: got 5, want at least the latents' 5 and 2 more"):
        ReCamMaster(small_config(), GRID, [LatentChannels(2)], null_text_length=3)
    with pytest.raises(InputError, match=r"latent_channels\.channels: got 0"):
        LatentChannels(0)
