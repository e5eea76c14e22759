import hashlib
import math

import pytest
import torch
import torchvision
from torchvision.transforms._presets import VideoClassification

from mvt4g.metrics.networks.i3d import I3D, MaxPool, load_i3d, pad_same
from mvt4g.metrics.networks.video_features import (
    I3D_CLIP,
    R3D_CLIP,
    S3D_CLIP,
    VIDEOGPT_CLIP,
    i3d_features,
    preprocess_clip,
    torchscript_i3d_features,
    torchvision_features,
)
from mvt4g.metrics.video.frechet_video import FrechetVideoDistance
from mvt4g.types import InputError


@pytest.fixture(scope="module")
def i3d_file(tmp_path_factory):
    torch.manual_seed(0)
    net = I3D()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight)  # the default makes videos alike after 20 layers
    path = tmp_path_factory.mktemp("i3d") / "i3d.pt"
    torch.save({key: value for key, value in net.state_dict().items() if "num_batches" not in key}, path)
    return path


def test_i3d_has_the_names_and_sizes_of_the_public_weights():
    shapes = {key: tuple(value.shape) for key, value in I3D().state_dict().items() if "num_batches" not in key}
    assert len(shapes) == 57 * 5 + 2  # a kernel and four of its normalisation a unit; the classifier
    assert shapes["Conv3d_1a_7x7.conv3d.weight"] == (64, 3, 7, 7, 7)
    assert shapes["Mixed_4f.b2b.conv3d.weight"] == (128, 32, 3, 3, 3)
    assert shapes["Mixed_5c.b3b.bn.running_var"] == (128,)
    assert shapes["logits.conv3d.weight"] == (400, 1024, 1, 1, 1)
    assert shapes["logits.conv3d.bias"] == (400,)
    parameters = sum(math.prod(shape) for key, shape in shapes.items() if "running" not in key)
    assert parameters == 12_697_264


@pytest.mark.parametrize("size", range(1, 12))
def test_padding_is_tensorflows(size):
    for window in (1, 2, 3, 7):
        for step in (1, 2):
            rest = size % step or step
            wanted = max(window - rest, 0)
            padded = pad_same(torch.ones(1, 1, size, 1, 1), (window, 1, 1), (step, 1, 1))
            assert padded.shape[2] == size + wanted
            assert (padded[0, 0, : wanted // 2] == 0).all()
            assert (padded[0, 0, wanted // 2 : wanted // 2 + size] == 1).all()
            if size + wanted >= window:
                assert MaxPool((window, 1, 1), (step, 1, 1))(torch.ones(1, 1, size, 1, 1)).shape[2] == -(-size // step)


def test_i3d_gives_logits_of_a_video(i3d_file):
    features = i3d_features(i3d_file)
    video = torch.rand(1, 10, 3, 32, 40)
    with torch.no_grad():
        found = features(video)
        halved = i3d_features(i3d_file, as_videogpt=True)(video)
    assert found.shape == (1, 400)
    assert features.name == "fvd_i3d"
    assert (found - halved).abs().max() > 1e-4, "the two protocols would be one"
    with pytest.raises(InputError, match="video: got 9 frames, want at least 10"):
        features(video[:, :9])


def test_i3d_refuses_other_weights(i3d_file, tmp_path):
    weights = torch.load(i3d_file, weights_only=True)
    weights.pop("Mixed_3b.b0.bn.weight")
    torch.save(weights, tmp_path / "part.pt")
    with pytest.raises(InputError, match=r"part.pt: .*missing: Mixed_3b.b0.bn.weight"):
        load_i3d(tmp_path / "part.pt")


@pytest.mark.parametrize(("how", "resize", "crop"), [(R3D_CLIP, (128, 171), 112), (S3D_CLIP, (256, 256), 224)])
def test_preprocessing_of_torchvisions_nets_is_torchvisions(how, resize, crop):
    video = torch.rand(1, 14, 3, 60, 90)
    theirs = VideoClassification(crop_size=(crop, crop), resize_size=resize)(video)
    torch.testing.assert_close(preprocess_clip(video, how), theirs, atol=1e-5, rtol=1e-5)


def test_i3ds_clips_lie_in_minus_1_to_1_and_videogpts_in_half_of_that():
    video = torch.zeros(1, 10, 3, 30, 50)
    video[..., 25:] = 1
    ours, theirs = preprocess_clip(video, I3D_CLIP), preprocess_clip(video, VIDEOGPT_CLIP)
    assert ours.shape == (1, 3, 10, 224, 224)
    torch.testing.assert_close(ours.aminmax(), (torch.tensor(-1.0), torch.tensor(1.0)))
    torch.testing.assert_close(theirs, ours / 2)
    assert abs(float(ours.mean())) < 1e-3, "the crop is in the middle"


@pytest.mark.parametrize(("architecture", "frames", "size"), [("r3d_18", 2, 512), ("s3d", 14, 1024)])
@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_torchvisions_nets_come_under_their_own_name(architecture, frames, size, tmp_path):
    net = getattr(torchvision.models.video, architecture)(weights=None)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    features = torchvision_features(architecture, tmp_path / "net.pth")
    with torch.no_grad():
        found = features(torch.rand(1, frames, 3, 32, 32))
    assert found.shape == (1, size)
    assert features.feature_dim == size
    metric = FrechetVideoDistance(features, features.feature_dim, features.name)
    assert f"frechet_{architecture}" in metric.compute()
    assert metric.state_dict() == {}
    assert not any("fvd" in key for key in metric.compute())


def test_an_unknown_net_is_refused(tmp_path):
    with pytest.raises(InputError, match="architecture: got 'i3d', want one of r3d_18"):
        torchvision_features("i3d", tmp_path / "net.pth")


class Detector(torch.nn.Module):
    """Has the call of StyleGAN-V's file."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        return x.mean(dim=[2, 3, 4]).repeat(1, 134)[:, :400] + (
            1.0 if rescale or resize or not return_features else 0.0
        )


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch deprecates TorchScript
def test_a_torchscript_is_run_only_where_the_caller_says_so_and_names_the_file(tmp_path):
    path = tmp_path / "i3d_torchscript.pt"
    torch.jit.save(torch.jit.script(Detector()), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError, match="a TorchScript file is a program"):
        torchscript_i3d_features(path, sha256)
    with pytest.raises(InputError, match="got sha256"):
        torchscript_i3d_features(path, "0" * 64, run_its_program=True)
    features = torchscript_i3d_features(path, sha256, run_its_program=True)
    assert features.name == "fvd_i3d_torchscript"
    torch.testing.assert_close(features(torch.ones(1, 10, 3, 16, 16)), torch.ones(1, 400))
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickle.pt")
    pickled = hashlib.sha256((tmp_path / "pickle.pt").read_bytes()).hexdigest()
    with pytest.raises(InputError, match=r"pickle.pt: got no TorchScript"):
        torchscript_i3d_features(tmp_path / "pickle.pt", pickled, run_its_program=True)
    with pytest.raises(InputError, match="no such file"):
        torchscript_i3d_features(tmp_path / "none.pt", sha256, run_its_program=True)
