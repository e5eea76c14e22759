"""Which metrics a protocol is made of, built from the weights that are at hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from torchmetrics import Metric

from mvt4g.metrics.aesthetic_quality import AestheticQuality
from mvt4g.metrics.background_consistency import BackgroundConsistency
from mvt4g.metrics.camera_pose import CameraPoseError, OnFailure
from mvt4g.metrics.dynamic_degree import DynamicDegree
from mvt4g.metrics.frechet_video import FrechetVideoDistance
from mvt4g.metrics.full_reference import VideoLPIPS, VideoPSNR, VideoSSIM
from mvt4g.metrics.imaging_quality import ImagingQuality
from mvt4g.metrics.masked import MaskedLPIPS, MaskedPSNR, MaskedSSIM
from mvt4g.metrics.met3r import MEt3R, Region, WarpRGB5
from mvt4g.metrics.motion_smoothness import MotionSmoothness
from mvt4g.metrics.novel_view import NovelViewMetrics
from mvt4g.metrics.subject_consistency import SubjectConsistency
from mvt4g.metrics.temporal_flickering import TemporalFlickering
from mvt4g.metrics.view_synchronisation import ViewSynchronisation
from mvt4g.types import InputError

CAMERA = "camera/"
"""What the members of camera errors begin with; their protocol follows."""
Preset = Literal["synthetic", "mvtrack4gen", "redirector", "camI2V", "full_reference"]


@dataclass(frozen=True)
class MetricWeights:
    """Local files of the networks that metrics look through; a metric whose files are not given does not run.

    Attributes:
        dino_vits16: DINO ViT-S/16, for MEt3R and view synchronisation (``dino_deitsmall16_pretrain.pth``).
        dino_vitb16: DINO ViT-B/16, for subject consistency (``dino_vitbase16_pretrain.pth``).
        clip_vitb32: OpenAI's CLIP ViT-B/32, for background consistency.
        clip_vitl14: OpenAI's CLIP ViT-L/14, for aesthetic quality.
        aesthetic_head: LAION's linear head on it (``sa_0_4_vit_l_14_linear.pth``).
        musiq_spaq: MUSIQ trained on SPAQ, for imaging quality.
        raft: torchvision's RAFT large, for dynamic degree; VBench's is ``raft_large_C_T_V1-22a6c225.pth``.
        alexnet: torchvision's AlexNet, for LPIPS.
        i3d: I3D trained on Kinetics-400, for the Fréchet video distance.
    """

    dino_vits16: Path | None = None
    dino_vitb16: Path | None = None
    clip_vitb32: Path | None = None
    clip_vitl14: Path | None = None
    aesthetic_head: Path | None = None
    musiq_spaq: Path | None = None
    raft: Path | None = None
    alexnet: Path | None = None
    i3d: Path | None = None


def novel_view_metrics(
    preset: Preset,
    weights: MetricWeights = MetricWeights(),
    on_pose_failure: OnFailure = "nan",
    more: Sequence[Metric] = (),
) -> NovelViewMetrics:
    """Build the metrics of a protocol.

    - ``synthetic``: the true target view, depth and cameras are known: full reference, consistency by true geometry
      (of all, static and dynamic regions), cameras.
    - ``mvtrack4gen``: the columns of MVTrack4Gen's table. Its motion smoothness needs AMT-S, which a user brings.
    - ``redirector``: MEt3R of frame t against frame t, its camera errors, VBench's dimensions; where the true view is
      known (DyCheck), full reference, and within the mask of what some input frame sees; its masked SSIM is DyCheck's
      own, over all windows.
    - ``camI2V``: its camera errors, and the Fréchet video distance.
    - ``full_reference``: of ``synthetic`` what is cheap enough for a validation every hundred steps.

    Args:
        preset: The protocol.
        weights: What is not given is left out and told in ``NovelViewMetrics.absent``, never replaced silently:
            ``warp_rgb5`` runs without weights beside MEt3R, under its own name.
        on_pose_failure: What a video without estimated cameras does to the means, see ``CameraPoseError``.
        more: Metrics beside them, each named by its attribute ``key``; copied.

    Raises:
        InputError: If there is no such preset, a file is broken, or a metric has no key or one that another has.
    """
    if preset not in get_args(Preset):
        raise InputError(f"preset: got {preset!r}, want one of {', '.join(get_args(Preset))}")
    members: dict[str, Metric] = {}
    absent: dict[str, str] = {}
    for name in MEMBERS[preset]:
        if name in BROUGHT:
            absent[name] = BROUGHT[name]
            continue
        if name.startswith(CAMERA):
            members[name] = CameraPoseError(name.removeprefix(CAMERA), on_pose_failure)
            continue
        needed, build = RECIPES[name]
        missing = [file for file in needed if getattr(weights, file) is None]
        if missing:
            absent[name] = f"needs {' and '.join(missing)}"
        else:
            members[name] = build(weights)
    for metric in more:
        key = getattr(metric, "key", None)
        if not isinstance(key, str) or not key or key in members:
            raise InputError(f"videos.more: got {type(metric).__name__} of key {key!r}, want one that no other has")
        members[key] = metric.clone()
    return NovelViewMetrics(members, absent)


def _met3r(region: Region) -> Callable[[MetricWeights], Metric]:
    def build(weights: MetricWeights) -> Metric:
        from mvt4g.metrics.providers.features import PatchFeatures

        return MEt3R(PatchFeatures(_given(weights.dino_vits16)), region=region)

    return build


def _synchronisation(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.features import PatchFeatures

    return ViewSynchronisation(PatchFeatures(_given(weights.dino_vits16)))


def _subject(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.features import ImageFeatures

    return SubjectConsistency(ImageFeatures(_given(weights.dino_vitb16)))


def _background(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.features import ImageFeatures

    return BackgroundConsistency(
        ImageFeatures(_given(weights.clip_vitb32), "vit_base_patch32_clip_quickgelu_224.openai", "timm")
    )


def _aesthetic(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.features import ImageFeatures, aesthetic_head

    features = ImageFeatures(_given(weights.clip_vitl14), "vit_large_patch14_clip_quickgelu_224.openai", "timm")
    return AestheticQuality(features, aesthetic_head(_given(weights.aesthetic_head)))


def _imaging(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.musiq import load_musiq

    return ImagingQuality(load_musiq(_given(weights.musiq_spaq)))


def _dynamic_degree(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.flow import load_raft

    return DynamicDegree(load_raft(_given(weights.raft)), compat=True)  # VBench's own rule for short videos


def _lpips(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.lpips import load_lpips

    return VideoLPIPS(load_lpips(_given(weights.alexnet)))


def _masked_lpips(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.lpips import load_lpips

    return MaskedLPIPS(load_lpips(_given(weights.alexnet), spatial=True))


def _frechet(weights: MetricWeights) -> Metric:
    from mvt4g.metrics.providers.video_features import i3d_features

    return FrechetVideoDistance(i3d_features(_given(weights.i3d)), feature_dim=400, name="fvd_i3d")


def _given(path: Path | None) -> Path:
    assert path is not None, "RECIPES says which files a member needs"
    return path


RECIPES: Mapping[str, tuple[tuple[str, ...], Callable[[MetricWeights], Metric]]] = {
    "psnr": ((), lambda _: VideoPSNR()),
    "ssim": ((), lambda _: VideoSSIM()),
    "lpips": (("alexnet",), _lpips),
    "masked_psnr": ((), lambda _: MaskedPSNR()),
    "masked_ssim": ((), lambda _: MaskedSSIM(count_empty_windows=True)),  # DyCheck's, as published figures are
    "masked_lpips": (("alexnet",), _masked_lpips),
    "met3r": (("dino_vits16",), _met3r("all")),
    "met3r_static": (("dino_vits16",), _met3r("static")),
    "met3r_dyn": (("dino_vits16",), _met3r("dynamic")),
    "warp_rgb5": ((), lambda _: WarpRGB5()),
    "warp_rgb5_static": ((), lambda _: WarpRGB5(region="static")),
    "warp_rgb5_dyn": ((), lambda _: WarpRGB5(region="dynamic")),
    "view_synchronisation": (("dino_vits16",), _synchronisation),
    "subject_consistency": (("dino_vitb16",), _subject),
    "background_consistency": (("clip_vitb32",), _background),
    "aesthetic_quality": (("clip_vitl14", "aesthetic_head"), _aesthetic),
    "imaging_quality": (("musiq_spaq",), _imaging),
    "temporal_flickering": ((), lambda _: TemporalFlickering()),
    "motion_smoothness_linear": ((), lambda _: MotionSmoothness()),
    "dynamic_degree": (("raft",), _dynamic_degree),
    "fvd_i3d": (("i3d",), _frechet),
}
"""Of every member but camera errors: the files it needs, and how it is built."""
BROUGHT: Mapping[str, str] = {
    "motion_smoothness_amt_s": "needs AMT-S (CC BY-NC) from the user, in code: MotionSmoothness(interpolator, 'amt_s')"
}
"""Members that no file of weights can make run."""

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "synthetic": (
        "psnr", "ssim", "lpips", "met3r", "met3r_static", "met3r_dyn", "warp_rgb5", "warp_rgb5_static", "warp_rgb5_dyn",
        "temporal_flickering", "motion_smoothness_linear", "camera/mvtrack4gen",
    ),
    "mvtrack4gen": (
        "subject_consistency", "imaging_quality", "motion_smoothness_amt_s", "motion_smoothness_linear", "met3r",
        "met3r_dyn", "warp_rgb5", "warp_rgb5_dyn", "camera/mvtrack4gen",
    ),
    "redirector": (
        "met3r", "met3r_static", "warp_rgb5", "warp_rgb5_static", "camera/redirector", "subject_consistency",
        "background_consistency", "aesthetic_quality", "imaging_quality", "temporal_flickering",
        "motion_smoothness_amt_s", "motion_smoothness_linear", "dynamic_degree", "psnr", "lpips", "masked_psnr",
        "masked_ssim", "masked_lpips",
    ),
    "camI2V": ("camera/camI2V", "fvd_i3d"),
    "full_reference": ("psnr", "ssim", "lpips", "camera/mvtrack4gen"),
}  # fmt: skip
"""Members of every preset."""
