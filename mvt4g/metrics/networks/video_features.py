"""Extractors of one feature a video, from local files, with the preprocessing that their authors use.

Names tell extractors apart: only I3D's distance is called FVD, and even there two protocols give two values.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.metrics.functional.preprocessing import center_crop, normalize
from mvt4g.metrics.networks.i3d import CLASSES, load_i3d
from mvt4g.metrics.networks.weights import check_sha256, load_strict, read_state_dict
from mvt4g.types import InputError

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class ClipPreprocessing:
    """What happens to videos in [0, 1] before the network; the resizing is bilinear without antialiasing.

    Attributes:
        resize: Pixels of the shorter side (the other keeps the aspect, rounded up), or height and width.
        crop: Side of the square kept in the middle; of an odd margin, the smaller half lies before it where the shorter
            side was given (as FVD's codes do), and as torchvision rounds it otherwise.
        mean: Subtracted from each channel.
        std: Divides each channel.
        min_frames: Shortest video that is taken.
    """

    resize: int | tuple[int, int]
    crop: int
    mean: Rgb
    std: Rgb
    min_frames: int


HALF: Rgb = (0.5, 0.5, 0.5)
I3D_CLIP = ClipPreprocessing(224, crop=224, mean=HALF, std=HALF, min_frames=10)
"""Values in [-1, 1], as I3D was trained; JunyaoHu/common_metrics_on_video_quality, both of its variants."""
VIDEOGPT_CLIP = ClipPreprocessing(224, crop=224, mean=HALF, std=(1.0, 1.0, 1.0), min_frames=10)
"""Values in [-0.5, 0.5], half of what I3D was trained on: wilson1yan/VideoGPT's own code, hence another FVD."""
R3D_CLIP = ClipPreprocessing(
    (128, 171), crop=112, mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989), min_frames=2
)
"""torchvision's for its 3-D ResNets."""
S3D_CLIP = ClipPreprocessing((256, 256), crop=224, mean=R3D_CLIP.mean, std=R3D_CLIP.std, min_frames=14)
"""torchvision's for S3D."""
TORCHVISION = {
    "r3d_18": (R3D_CLIP, "fc", 512),
    "mc3_18": (R3D_CLIP, "fc", 512),
    "r2plus1d_18": (R3D_CLIP, "fc", 512),
    "s3d": (S3D_CLIP, "classifier", 1024),
}
"""Preprocessing, the classifier that is taken off, and the number of features before it."""


class VideoFeatures(nn.Module):
    """A network behind its preprocessing: ``FrechetVideoDistance(f, f.feature_dim, f.name)``.

    Args:
        net: Takes clips (b 3 t h w) as preprocessed to features (b d).
        preprocessing: What the clips go through.
        name: Of the distance of these features.
        feature_dim: d.
    """

    def __init__(
        self,
        net: Callable[[Float[Tensor, "b 3 t h w"]], Float[Tensor, "b d"]],
        preprocessing: ClipPreprocessing,
        name: str,
        feature_dim: int,
    ) -> None:
        super().__init__()
        self.net = net
        self.preprocessing = preprocessing
        self.name = name
        self.feature_dim = feature_dim

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b d"]:
        """Return a feature a video in [0, 1].

        Raises:
            InputError: If the video is too short.
        """
        return self.net(preprocess_clip(video, self.preprocessing))


def preprocess_clip(
    video: Float[Tensor, "b t 3 h w"],
    how: ClipPreprocessing,
) -> Float[Tensor, "b 3 t crop crop"]:
    """Make videos in [0, 1] ready for a network.

    Raises:
        InputError: If the video is too short.
    """
    batch, frames, _, height, width = video.shape
    if frames < how.min_frames:
        raise InputError(f"video: got {frames} frames, want at least {how.min_frames} for these features")
    images = rearrange(video, "b t c h w -> (b t) c h w")
    if isinstance(how.resize, int):
        shorter = min(height, width)
        scale = how.resize / shorter
        # The given side itself is not computed: rounding up could make it one pixel too long.
        size = [how.resize if side == shorter else math.ceil(side * scale) for side in (height, width)]
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        top = (size[0] - how.crop) // 2
        left = (size[1] - how.crop) // 2
        images = images[..., top : top + how.crop, left : left + how.crop]
    else:
        images = F.interpolate(images, size=how.resize, mode="bilinear", align_corners=False)
        images = center_crop(images, how.crop)
    images = normalize(images, how.mean, how.std)
    return rearrange(images, "(b t) c h w -> b c t h w", b=batch)


def i3d_features(
    weights: str | Path,
    as_videogpt: bool = False,
    sha256: str | None = None,
) -> VideoFeatures:
    """Return I3D's logits: the features of FVD (``fvd_i3d``, or ``fvd_i3d_videogpt``).

    Args:
        weights: A state dict, as ``load_i3d``.
        as_videogpt: Feed values in [-0.5, 0.5], as VideoGPT's code does, for comparison with its numbers.
        sha256: Checksum of the file, where the caller insists on these very weights.

    Raises:
        InputError: Naming the file that is missing or does not fit.
    """
    net = load_i3d(weights, sha256)
    if as_videogpt:
        return VideoFeatures(net, VIDEOGPT_CLIP, "fvd_i3d_videogpt", CLASSES)
    return VideoFeatures(net, I3D_CLIP, "fvd_i3d", CLASSES)


def torchvision_features(
    architecture: str,
    weights: str | Path,
    sha256: str | None = None,
) -> VideoFeatures:
    """Return what a video network of torchvision has before its classifier (``frechet_<architecture>``, never FVD).

    Args:
        architecture: A name of ``TORCHVISION``.
        weights: torchvision's file for it, whole.
        sha256: Checksum of the file, where the caller insists on these very weights.

    Raises:
        InputError: For another architecture; naming the file that is missing or does not fit.
    """
    import torchvision

    if architecture not in TORCHVISION:
        raise InputError(f"architecture: got {architecture!r}, want one of {', '.join(TORCHVISION)}")
    preprocessing, classifier, feature_dim = TORCHVISION[architecture]
    net = getattr(torchvision.models.video, architecture)(weights=None)
    load_strict(net, read_state_dict(weights, sha256), weights)
    setattr(net, classifier, nn.Identity())
    return VideoFeatures(net.eval().requires_grad_(False), preprocessing, f"frechet_{architecture}", feature_dim)


def torchscript_i3d_features(
    path: str | Path,
    sha256: str,
    run_its_program: bool = False,
) -> VideoFeatures:
    """Return the logits of StyleGAN-V's I3D (``fvd_i3d_torchscript``), whose file is a program.

    TorchScript files carry code, and running the network runs it. Nothing here can tell a good file from a bad one
    but its checksum; where FVD need not be StyleGAN-V's to the digit, take ``i3d_features``.

    Args:
        path: ``i3d_torchscript.pt``.
        sha256: Checksum of the file that the caller trusts.
        run_its_program: Must be said.

    Raises:
        InputError: If the caller does not say so, or the file is missing, another, or no TorchScript.
    """
    path = Path(path)
    if not run_its_program:
        raise InputError(f"{path}: a TorchScript file is a program, want run_its_program=True from one who trusts it")
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights")
    check_sha256(path, sha256)
    try:
        net = torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        raise InputError(f"{path}: got no TorchScript, want StyleGAN-V's i3d_torchscript.pt") from error
    return VideoFeatures(_Logits(net), I3D_CLIP, "fvd_i3d_torchscript", CLASSES)


class _Logits(nn.Module):
    """Calls the network on clips that are resized and scaled already, for its logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, clips: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d"]:
        return self.net(clips, rescale=False, resize=False, return_features=True)
