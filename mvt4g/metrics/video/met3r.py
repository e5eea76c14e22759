"""Whether two views show one scene: MEt3R, and the same on colour patches where there are no feature weights."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.geometry.pose import check_poses
from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.metrics.functional.consistency import rgb_patches
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.networks.geometry import GeometryProvider
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video.view_pairs import Look, PairRule, Region, View, score_pair
from mvt4g.metrics.weights import MetricWeights
from mvt4g.ranges import check_word
from mvt4g.types import InputError, ViewRecord

Pairs = Literal["cross_view", "consecutive"]
KEY_ENDINGS = {"all": "", "static": "_static", "dynamic": "_dyn"}
VIDEO_OF = {"target": "video", "reference": "reference_video"}
"""The argument that holds a view's pictures."""


class MEt3R(PerVideoMetric):
    """Feature dissimilarity of views where they show the same surface: 0 consistent, 1 unrelated, 2 opposite.

    ``1 - (S_ab + S_ba) / 2``, S being the mean cosine of features over the pixels of one view that points of the
    other land on unoccluded. A video's value is the mean over its scored pairs, the result the mean over videos.

    Pairs are frame t of ``video`` with frame t of ``reference_video`` (``cross_view``), or frames t and t + 1 of
    ``video`` (``consecutive``, the original's sliding window; right for static scenes alone). A pair is not scored,
    but counted, when less than ``min_coverage`` of the pixels are compared, its cameras are not finite, or no view's
    region is given where one is asked for.

    MEt3R-dyn (``region="dynamic"``): the public definition of MVTrack4Gen's is unknown. Here it is MEt3R on hits that
    lie in the dynamic region of every view whose region is given; ``static`` is the same outside of them. Lower is
    better, unlike ReDirector's "Dyn-MEt3R", a similarity of static pixels.

    ``compute`` returns ``met3r`` (``met3r_static``, ``met3r_dyn`` by region); ``coverage``, the share of a view's
    pixels compared, over all pairs of a video; ``num_pairs``; ``num_invalid``, those of them without a score; and
    ``num_missing``, the videos without one.

    Args:
        features: Takes images (n 3 h w) in [0, 1] to features (n h' w' d), upsampled bilinearly to the depth's size.
            None: ``update`` is given features.
        geometry: A 3R model; None: ``update`` is given depth and cameras.
        pairs: Which frames are compared.
        region: Where they are compared.
        symmetric: False: frames of the reference (or t) into the other view only.
        occlusion_tolerance: Relative depth difference up to which a point lies on the surface it falls on.
        min_coverage: Least share of a view's pixels that must be compared for a pair to have a score.
        reference_compat: Score as the authors' code does, see ``functional.consistency.met3r_reference_compat``; the
            three options above this one are without effect then.

    Raises:
        InputError: If an option is not one of those named or out of its range.

    Example:
        >>> import torch
        >>> from mvt4g.types import ViewRecord
        >>> metric = MEt3R(features=lambda images: images.movedim(1, -1))
        >>> video, depth = torch.rand(1, 2, 3, 8, 8), torch.ones(1, 2, 8, 8)
        >>> cameras = torch.eye(4).expand(1, 2, 4, 4)
        >>> intrinsics = torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]).expand(1, 2, 3, 3)
        >>> view = ViewRecord(video, depth, cameras, intrinsics)
        >>> metric.update(video, target=view, reference=view)
        >>> round(float(metric.compute()["met3r"]), 4)
        0.0

    Source: Asim et al., arXiv 2501.06336.
    """

    weights: tuple[str, ...] = ("dino_vits16",)
    higher_is_better = False
    is_differentiable = True
    plot_lower_bound = 0.0
    plot_upper_bound = 2.0
    name = "met3r"

    def __init__(
        self,
        features: Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n low_h low_w d"]] | None = None,
        geometry: GeometryProvider | None = None,
        pairs: Pairs = "cross_view",
        region: Region = "all",
        symmetric: bool = True,
        occlusion_tolerance: float | int = 0.02,
        min_coverage: float | int = 0.01,
        reference_compat: bool = False,
    ) -> None:
        _check_options(pairs, region, occlusion_tolerance, min_coverage)
        if reference_compat and region != "all":
            raise InputError(f"region: got {region!r}, want 'all': the reference has no regions (reference_compat)")
        self.key = self.name + KEY_ENDINGS[region]
        super().__init__((self.key, "coverage", "num_pairs", "num_invalid"))
        self.features = None if features is None else FrozenNet(features)
        self.geometry = None if geometry is None else FrozenNet(geometry)
        self.pairs = pairs
        self.region = region
        self.symmetric = symmetric
        self.occlusion_tolerance = occlusion_tolerance
        self.min_coverage = min_coverage
        self.reference_compat = reference_compat

    @classmethod
    def from_weights(cls, files: MetricWeights, **options: Any) -> "MEt3R":
        """Build the metric through the networks of its ``weights``.

        Raises:
            InputError: If a file is broken.
        """
        from mvt4g.metrics.networks.features import PatchFeatures

        return cls(files.load("dino_vits16", PatchFeatures), **options)

    @property
    def required_inputs(self) -> frozenset[str]:
        """The arguments that ``update`` cannot do without, by how the metric is built."""
        names: set[str] = set()
        for view in ("target",) if self.pairs == "consecutive" else ("target", "reference"):
            if self.features is not None or self.geometry is not None:
                names.add(VIDEO_OF[view])
            if self.features is None:
                names.add(f"{view}_features")
            if self.geometry is None:
                names |= {f"{view}_depth", f"{view}_cam_from_world", f"{view}_intrinsics"}
        return frozenset(names)

    def update(
        self,
        video: Shaped[Tensor, "b t 3 h w"] | None = None,
        target: ViewRecord = ViewRecord(),
        reference: ViewRecord = ViewRecord(),
        target_features: Float[Tensor, "b t h2 w2 d"] | None = None,
        reference_features: Float[Tensor, "b t h3 w3 d"] | None = None,
        valid_frames: Bool[Tensor, "b t"] | None = None,
    ) -> None:
        """Add videos; ``consecutive`` pairs read what is known of the generated view only.

        Args:
            video: The generated view, float in [0, 1] or uint8.
            target: Depth, cameras and what moves in the generated view (the true ones); its own video is not read.
            reference: What it is compared with.
            target_features: Of the generated view, read only by a metric that has no extractor; at any resolution.
            reference_features: The same of the reference.
            valid_frames: False for padding; None: all count.

        Raises:
            InputError: If something needed is missing, shapes disagree or a camera is not a rigid one.
        """
        given = _Given(video, target, reference, target_features, reference_features, valid_frames)
        (videos,) = self._scored([self], given)
        self.add_videos(**videos)

    def work(self) -> Hashable:
        """Return what metrics of equal work have in common: pairs, geometry and how points are compared.

        They may look at other regions and through other networks. See ``metrics.shared_work``.
        """
        geometry = None if self.geometry is None else id(self.geometry.net)
        given = self.features is None
        compared = (self.symmetric, self.occlusion_tolerance, self.reference_compat)
        # A subclass whose ``update`` is its own adds its videos itself.
        return (type(self).update, self.pairs, geometry, given, compared)

    @torch.no_grad()
    def update_together(self, others: Sequence["MEt3R"], **known: Any) -> None:
        """Add videos to this metric and to others of equal ``work``: what ``update`` of each would add.

        Points are brought into the other view once, and every network sees a frame once.

        Args:
            others: Their own arguments of ``update`` are this one's.
            known: Of ``update``.

        Raises:
            InputError: As ``update``.
        """
        metrics = [self, *others]
        for metric, videos in zip(metrics, self._scored(metrics, _Given(**known)), strict=True):
            metric.add_scored(**videos)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the score, the coverage and the counts, see the class."""
        return {
            self.key: self.mean(self.key),
            "coverage": self.mean("coverage"),
            "num_pairs": self.total("num_pairs").long(),
            "num_invalid": self.total("num_invalid").long(),
            "num_missing": self.num_missing(self.key),
        }

    def _scored(self, metrics: Sequence["MEt3R"], given: "_Given") -> list[dict[str, Shaped[Tensor, " b"]]]:
        """Return every metric's columns for the videos; this one says what they share."""
        second = self._side("target", given.video, given.target_features, given.target)
        num_videos, num_frames = second.lead()
        if self.pairs == "consecutive":
            first = second[:, :-1]
            second = second[:, 1:]
        else:
            first = self._side("reference", given.reference.video, given.reference_features, given.reference)
            if first.lead() != second.lead():
                raise InputError(f"reference_video: got (b, t) = {first.lead()}, want {second.lead()} as the target's")
        valid = given.valid_frames
        if valid is None:
            valid = torch.ones(num_videos, num_frames, dtype=torch.bool)
        check_shape("valid_frames", valid, "b t", b=num_videos, t=num_frames)
        if self.pairs == "consecutive":
            valid = valid[:, :-1] & valid[:, 1:]
        looks = [Look(metric.features, metric.region) for metric in metrics]
        how = PairRule(self.geometry, self.symmetric, self.occlusion_tolerance, self.reference_compat)
        columns: list[list[dict[str, Tensor]]] = [[] for _ in metrics]
        for item, wanted in enumerate(valid):
            pairs: list[list[Any]] = [[] for _ in metrics]
            for pair in wanted.nonzero()[:, 0].tolist():
                for place, score in enumerate(score_pair(first[item, pair], second[item, pair], looks, how)):
                    # A pair without a score has one of its own on the CPU.
                    pairs[place].append([value.to(self.device) for value in score])
            for place, metric in enumerate(metrics):
                columns[place].append(metric._column_entries(pairs[place]))
        return [_stacked(metric.columns, videos) for metric, videos in zip(metrics, columns, strict=True)]

    def _side(
        self,
        name: str,
        video: Shaped[Tensor, "b t 3 h w"] | None,
        features: Float[Tensor, "b t h2 w2 d"] | None,
        view: ViewRecord,
    ) -> View:
        """Gather a view; refuse what is missing or misshapen by the names of ``GeneratedVideos.known``."""
        cam_from_world = view.cam_from_world
        intrinsics = view.intrinsics
        features = features if self.features is None else None
        given = {
            VIDEO_OF[name]: (video, "b t 3 h w"),
            f"{name}_depth": (view.depth, "b t h w"),
            f"{name}_dynamic": (view.dynamic, "b t h w"),
            f"{name}_cam_from_world": (cam_from_world, "b t 4 4"),
            f"{name}_intrinsics": (intrinsics, "b t 3 3"),
            f"{name}_features": (features, "b t h2 w2 d"),
        }
        sizes: dict[str, int] = {}
        for argument, (value, axes) in given.items():
            if value is not None:
                sizes |= check_shape(argument, value, axes, **sizes)
            elif argument in self.required_inputs:
                raise InputError(f"{argument}: got nothing, want ({', '.join(axes.split())})")
        if cam_from_world is not None:
            # A frame without a pose makes a pair without a score; it is no fault of the input.
            finite = cam_from_world.isfinite().flatten(2).all(dim=-1)[..., None, None]
            identity = torch.eye(4, device=cam_from_world.device)
            check_poses(torch.where(finite, cam_from_world, identity), f"{name}_cam_from_world")
        if intrinsics is not None and bool((intrinsics.diagonal(dim1=-2, dim2=-1) <= 0).any()):
            raise InputError(f"{name}_intrinsics: got a focal length of 0 or less, want positive ones")
        video = None if video is None else unit_video(VIDEO_OF[name], video)
        return View(video, features, view.depth, cam_from_world, intrinsics, view.dynamic)

    def _column_entries(
        self, pairs: Sequence[Sequence[Float[Tensor, ""]]]
    ) -> dict[str, Float[Tensor, ""] | Int[Tensor, ""]]:
        """Return the means over a video's pairs: scores, NaN where there is none, and coverages."""
        scores = coverages = torch.zeros(0, device=self.device)
        if pairs:
            scores, coverages = (torch.stack(column) for column in zip(*pairs, strict=True))
        if not self.reference_compat:
            scores = torch.where(coverages >= self.min_coverage, scores, torch.nan)
        invalid = scores.isnan() | (coverages == 0)
        return {
            self.key: scores.nanmean(),
            "coverage": coverages.mean(),
            "num_invalid": invalid.sum(),
            "num_pairs": torch.tensor(len(pairs), device=self.device),
        }


class WarpRGB5(MEt3R):
    """``MEt3R``'s machinery on mean-removed 5x5 colour patches: needs no weights, and is no MEt3R.

    For comparisons among results of this metric alone: patches know colour and texture, not content, and hardly mind
    blur. Keys are ``warp_rgb5``, ``warp_rgb5_static`` and ``warp_rgb5_dyn`` and the counts; arguments as ``MEt3R``.

    Example:
        >>> import torch
        >>> from mvt4g.types import ViewRecord
        >>> metric = WarpRGB5()
        >>> video, depth = torch.rand(1, 2, 3, 8, 8), torch.ones(1, 2, 8, 8)
        >>> cameras = torch.eye(4).expand(1, 2, 4, 4)
        >>> intrinsics = torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 4.0], [0.0, 0.0, 1.0]]).expand(1, 2, 3, 3)
        >>> view = ViewRecord(video, depth, cameras, intrinsics)
        >>> metric.update(video, target=view, reference=view)
        >>> round(float(metric.compute()["warp_rgb5"]), 4)
        0.0
    """

    name = "warp_rgb5"
    weights = ()

    def __init__(
        self,
        geometry: GeometryProvider | None = None,
        pairs: Pairs = "cross_view",
        region: Region = "all",
        symmetric: bool = True,
        occlusion_tolerance: float | int = 0.02,
        min_coverage: float | int = 0.01,
    ) -> None:
        super().__init__(rgb_patches, geometry, pairs, region, symmetric, occlusion_tolerance, min_coverage)


class _Given(NamedTuple):
    """What ``update`` is given."""

    video: Shaped[Tensor, "b t 3 h w"] | None = None
    target: ViewRecord = ViewRecord()
    reference: ViewRecord = ViewRecord()
    target_features: Float[Tensor, "b t h2 w2 d"] | None = None
    reference_features: Float[Tensor, "b t h3 w3 d"] | None = None
    valid_frames: Bool[Tensor, "b t"] | None = None


def _stacked(
    columns: Sequence[str], videos: Sequence[Mapping[str, Shaped[Tensor, ""]]]
) -> dict[str, Shaped[Tensor, " b"]]:
    """Return the entries of several videos, by column."""
    if not videos:
        return {name: torch.zeros(0) for name in columns}
    return {name: torch.stack([entries[name] for entries in videos]) for name in columns}


def _check_options(pairs: str, region: str, occlusion_tolerance: float, min_coverage: float) -> None:
    check_word("pairs", pairs, Pairs)
    check_word("region", region, Region)
    if not occlusion_tolerance > 0:
        raise InputError(f"occlusion_tolerance: got {occlusion_tolerance}, want a positive share of the depth")
    if not 0 <= min_coverage <= 1:
        raise InputError(f"min_coverage: got {min_coverage}, want a share in [0, 1]")
