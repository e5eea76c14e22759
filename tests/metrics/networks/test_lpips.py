import pytest
import torch
import torchvision
from torchmetrics.functional.image.lpips import _LPIPS

from mvt4g.metrics.networks.lpips import BACKBONES, LPIPS, load_lpips
from mvt4g.metrics.video.full_reference import VideoLPIPS
from mvt4g.types import InputError


def draw_backbone(net: str) -> dict[str, torch.Tensor]:
    """Random weights under torchvision's names."""
    with torch.device("meta"):
        features = getattr(torchvision.models, BACKBONES[net].torchvision_name)(weights=None).features
    generator = torch.Generator().manual_seed(0)
    return {
        f"features.{key}": 0.05 * torch.randn(value.shape, generator=generator)
        for key, value in features.state_dict().items()
    }


def torchmetrics_net(net: str, backbone: dict[str, torch.Tensor], spatial: bool, monkeypatch) -> _LPIPS:
    """Torchmetrics' network with its own heads and our backbone."""
    with torch.device("meta"):
        whole = getattr(torchvision.models, BACKBONES[net].torchvision_name)(weights=None)
    whole.features.load_state_dict(
        {key.removeprefix("features."): value for key, value in backbone.items()}, assign=True
    )
    monkeypatch.setattr(torchvision.models, BACKBONES[net].torchvision_name, lambda weights: whole)
    theirs = _LPIPS(net=net, spatial=spatial, pnet_rand=True)
    monkeypatch.undo()
    return theirs


@pytest.fixture(params=["alex", "vgg"])
def net(request) -> str:
    return request.param


@pytest.mark.parametrize("spatial", [False, True])
def test_it_is_torchmetrics_net_with_the_same_backbone(net, spatial, tmp_path, monkeypatch):
    backbone = draw_backbone(net)
    classifier = {"classifier.1.weight": torch.zeros(2, 2)}
    torch.save(backbone | classifier, tmp_path / "backbone.pth")
    ours = load_lpips(tmp_path / "backbone.pth", net, spatial)
    theirs = torchmetrics_net(net, backbone, spatial, monkeypatch)
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 2, 3, 40, 48, generator=generator)
    with torch.no_grad():
        found, wanted = ours(a, b), theirs(a, b, normalize=True)
        wrong = theirs(255 * a, 255 * b, normalize=False)
    wanted = wanted[:, 0] if spatial else wanted[:, 0, 0, 0]
    assert found.shape == ((2, 40, 48) if spatial else (2,))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)
    assert (
        wrong.flatten(1).mean(dim=1) - wanted.flatten(1).mean(dim=1) if spatial else wrong.flatten() - wanted
    ).abs().min() > 1e-3, "bytes in disguise pass there, and score otherwise"


def test_a_video_in_0_to_255_is_refused(tmp_path):
    torch.save(draw_backbone("alex"), tmp_path / "backbone.pth")
    metric = VideoLPIPS(load_lpips(tmp_path / "backbone.pth"))
    video = torch.rand(1, 2, 3, 32, 32)
    with pytest.raises(InputError, match="video: got values from"):
        metric.update(255 * video, 255 * video)
    metric.update(video, video)
    assert metric.compute() == 0
    metric.update(video, video.flip(-1))
    assert metric.compute() > 0
    assert metric.state_dict() == {}


def test_gradients_reach_the_images_and_no_weight(tmp_path):
    torch.save(draw_backbone("alex"), tmp_path / "backbone.pth")
    lpips = load_lpips(tmp_path / "backbone.pth")
    a, b = torch.rand(2, 1, 3, 32, 32).unbind()
    a.requires_grad_()
    lpips(a, b).sum().backward()
    assert a.grad.abs().max() > 0
    assert all(not weight.requires_grad for weight in lpips.parameters())


@pytest.mark.parametrize(("net", "side"), [("alex", 31), ("vgg", 16)])
def test_images_too_small_are_refused(net, side):
    lpips = LPIPS(net)
    images = torch.rand(1, 3, side, side)
    assert lpips(images, images).shape == (1,)
    with pytest.raises(InputError, match=f"want at least {side} pixels a side"):
        lpips(images[..., 1:], images[..., 1:])


def test_weights_that_do_not_fit_are_refused_by_file(tmp_path):
    backbone = draw_backbone("alex")
    path = tmp_path / "backbone.pth"
    with pytest.raises(InputError, match=r"backbone.pth: no such file"):
        load_lpips(path)
    torch.save(backbone | {"features.99.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"backbone.pth: .*unexpected: features.99.weight"):
        load_lpips(path)
    torch.save({key: value for key, value in backbone.items() if key != "features.3.bias"}, path)
    with pytest.raises(InputError, match=r"backbone.pth: .*missing: features.3.bias"):
        load_lpips(path)
    torch.save(backbone, path)
    torch.save({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, tmp_path / "heads.pth")
    with pytest.raises(InputError, match=r"heads.pth: .*missing: 1.weight"):
        load_lpips(path, heads=tmp_path / "heads.pth")


@pytest.mark.usefixtures("without_shape_hook")
def test_another_net_is_refused():
    with pytest.raises(InputError, match="net: got 'squeeze'"):
        LPIPS("squeeze")
