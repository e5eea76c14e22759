"""Which metrics make a protocol, and which a run logs beside it: lists of names, and what each name builds."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torchmetrics import Metric

from mvt4g.metrics.attention.attention_pck import AttentionPCK
from mvt4g.metrics.attention.cycle_consistency import CycleConsistency
from mvt4g.metrics.camera.camera_pose import CameraPoseError, OnFailure
from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.tracks.by_pair import PCKByPair, TAPVidByPair, TAPVidPooled
from mvt4g.metrics.tracks.geometry_score import GeometryScore
from mvt4g.metrics.tracks.track_in_mask import TrackInMask
from mvt4g.metrics.video.aesthetic_quality import AestheticQuality
from mvt4g.metrics.video.background_consistency import BackgroundConsistency
from mvt4g.metrics.video.dynamic_degree import DynamicDegree
from mvt4g.metrics.video.epipolar_colour import EpipolarColour
from mvt4g.metrics.video.frechet_video import FrechetVideoDistance
from mvt4g.metrics.video.full_reference import CodecPSNR, VideoLPIPS, VideoPSNR, VideoSSIM
from mvt4g.metrics.video.imaging_quality import ImagingQuality
from mvt4g.metrics.video.masked import MaskedLPIPS, MaskedPSNR, MaskedSSIM
from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5
from mvt4g.metrics.video.motion_smoothness import MotionSmoothness
from mvt4g.metrics.video.subject_consistency import SubjectConsistency
from mvt4g.metrics.video.temporal_flickering import TemporalFlickering
from mvt4g.metrics.video.velocity_error import VelocityError
from mvt4g.metrics.video.view_synchronisation import ViewSynchronisation
from mvt4g.metrics.video.warp_error import WarpError
from mvt4g.metrics.weights import LoadedOnce, MetricWeights
from mvt4g.ranges import check_word
from mvt4g.types import InputError

Preset = Literal["synthetic", "mvtrack4gen", "redirector", "camI2V", "full_reference"]


@dataclass(frozen=True)
class NamedMetric:
    """How a metric of some name is built.

    Attributes:
        metric: Its class. One that looks through networks says in ``weights`` which files of ``MetricWeights`` these
            need, and builds itself ``from_weights``.
        options: Of its constructor.
    """

    metric: type[Metric]
    options: Mapping[str, Any] = field(default_factory=dict)

    def missing(self, files: MetricWeights) -> list[str]:
        """Return the files that the metric needs and that are not given."""
        needed = getattr(self.metric, "weights", ())
        return [name for name in needed if getattr(files, name) is None]

    def build(self, files: MetricWeights, given: Mapping[str, Any]) -> Metric:
        """Build the metric.

        Args:
            files: All that it needs.
            given: Arguments that a run decides, by name; those that the constructor has no parameter for are left.
        """
        own = inspect.signature(self.metric.__init__).parameters
        options = dict(self.options)
        for name, value in given.items():
            # One set of arguments serves every metric of a run; each takes those that it has.
            if name in own:
                options[name] = value
        if getattr(self.metric, "weights", ()):
            built: Metric = self.metric.from_weights(files, **options)  # type: ignore[attr-defined]  # as it has weights
            return built
        return self.metric(**options)


def build_metrics(
    names: Sequence[str], files: MetricWeights = MetricWeights(), **given: Any
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Build metrics by their names in a preset.

    Args:
        names: Out of ``METRICS`` and ``BROUGHT``.
        files: A metric whose files are not given is left out.
        given: Arguments of their constructors that a run decides, such as ``layers`` and ``threshold_px``.

    Returns:
        The metrics by key; and of those left out what they need, by name.

    Raises:
        InputError: If a file is broken.
    """
    members: dict[str, Metric] = {}
    absent: dict[str, str] = {}
    files = LoadedOnce.of(files)
    for name in names:
        if name in BROUGHT:
            absent[name] = BROUGHT[name]
            continue
        if missing := METRICS[name].missing(files):
            absent[name] = f"needs {' and '.join(missing)}"
            continue
        metric = METRICS[name].build(files, given)
        members[metric.key] = metric  # type: ignore[index]  # every metric of METRICS states its key
    return members, absent


def novel_view_metrics(
    preset: Preset,
    weights: MetricWeights = MetricWeights(),
    on_pose_failure: OnFailure = "nan",
    more: Sequence[Metric] = (),
    beside: Sequence[str] = (),
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
        beside: Names of further metrics, such as ``GENERATION``.

    Raises:
        InputError: If there is no such preset, a file is broken, or a metric has no key or one that another has.
    """
    check_word("preset", preset, Preset)
    names = dict.fromkeys((*MEMBERS[preset], *beside))
    members, absent = build_metrics(tuple(names), weights, on_failure=on_pose_failure)
    for metric in more:
        key = getattr(metric, "key", None)
        if not isinstance(key, str) or not key or key in members:
            raise InputError(f"videos.more: got {type(metric).__name__} of key {key!r}, want one that no other has")
        members[key] = metric.clone()
    return NovelViewMetrics(members, absent)


METRICS: Mapping[str, NamedMetric] = {
    "psnr": NamedMetric(VideoPSNR),
    "ssim": NamedMetric(VideoSSIM),
    "lpips": NamedMetric(VideoLPIPS),
    "psnr_codec": NamedMetric(CodecPSNR),
    "masked_psnr": NamedMetric(MaskedPSNR),
    "masked_ssim": NamedMetric(MaskedSSIM, {"count_empty_windows": True}),  # DyCheck's, as published figures are
    "masked_lpips": NamedMetric(MaskedLPIPS),
    "warp_error": NamedMetric(WarpError),
    "warp_error_dyn": NamedMetric(WarpError, {"region": "dynamic"}),
    "warp_error_truth": NamedMetric(WarpError, {"of_truth": True}),
    "met3r": NamedMetric(MEt3R),
    "met3r_static": NamedMetric(MEt3R, {"region": "static"}),
    "met3r_dyn": NamedMetric(MEt3R, {"region": "dynamic"}),
    "warp_rgb5": NamedMetric(WarpRGB5),
    "warp_rgb5_static": NamedMetric(WarpRGB5, {"region": "static"}),
    "warp_rgb5_dyn": NamedMetric(WarpRGB5, {"region": "dynamic"}),
    "view_synchronisation": NamedMetric(ViewSynchronisation),
    "camera/mvtrack4gen": NamedMetric(CameraPoseError, {"protocol": "mvtrack4gen"}),
    "camera/camI2V": NamedMetric(CameraPoseError, {"protocol": "camI2V"}),
    "camera/redirector": NamedMetric(CameraPoseError, {"protocol": "redirector"}),
    "subject_consistency": NamedMetric(SubjectConsistency),
    "background_consistency": NamedMetric(BackgroundConsistency),
    "aesthetic_quality": NamedMetric(AestheticQuality),
    "imaging_quality": NamedMetric(ImagingQuality),
    "temporal_flickering": NamedMetric(TemporalFlickering),
    "motion_smoothness_linear": NamedMetric(MotionSmoothness, {"pairs_at_once": 1}),  # no network gains by more
    "dynamic_degree": NamedMetric(DynamicDegree, {"compat": True}),  # VBench's own rule for short videos
    "fvd_i3d": NamedMetric(FrechetVideoDistance),
    "loss": NamedMetric(VelocityError, {"key": "loss"}),
    "loss_diff": NamedMetric(VelocityError),
    "attention_pck": NamedMetric(AttentionPCK),
    "cycle_consistency@sampled": NamedMetric(CycleConsistency, {"level": "sampled"}),
    "track_pck": NamedMetric(PCKByPair),
    "tapvid": NamedMetric(TAPVidByPair),
    "tapvid/pooled": NamedMetric(TAPVidPooled),
    "track_in_mask": NamedMetric(TrackInMask),
    "geometry": NamedMetric(GeometryScore),
    "epipolar_colour": NamedMetric(EpipolarColour),
}
"""What builds each metric that some list below names."""
BROUGHT: Mapping[str, str] = {
    "motion_smoothness_amt_s": "needs AMT-S (CC BY-NC) from the user, in code: MotionSmoothness(interpolator, 'amt_s')"
}
"""Members that no file of weights can make run."""

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "synthetic": (
        "psnr", "ssim", "lpips", "warp_error", "warp_error_dyn", "warp_error_truth", "met3r", "met3r_static",
        "met3r_dyn", "warp_rgb5", "warp_rgb5_static", "warp_rgb5_dyn", "temporal_flickering",
        "motion_smoothness_linear", "camera/mvtrack4gen",
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
"""Members of every preset that scores generated videos."""
WITHOUT_TRUTH = ("geometry", "epipolar_colour")
"""What is scored by the cameras asked for, without a true target view: of tracks, and of colours."""
GENERATION = ("psnr_codec", "warp_error", "warp_error_dyn", "warp_error_truth")
"""What a run scores of the target views that it generates, beside its preset."""
REAL_VIDEOS = ("psnr_codec", "cycle_consistency@sampled", "track_in_mask", *WITHOUT_TRUTH)
"""What needs no true target view."""
TRACKS = ("track_pck", "tapvid", "tapvid/pooled")
"""What is scored of tracks whose truth is known."""
NOISE_LEVEL = ("loss_diff", "attention_pck", *TRACKS)
"""What is read at each noise level."""
ALL_LEVELS = ("loss",)
"""What is read at all noise levels together."""
