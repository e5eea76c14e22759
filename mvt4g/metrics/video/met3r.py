"""Whether two views show one scene: MEt3R, and the same on colour patches where there are no feature weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from mvt4g.geometry.pose import check_poses, compose, invert_pose, transform_points
from mvt4g.metrics.functional.checks import check_shape, unit_video
from mvt4g.metrics.functional.consistency import (
    lift_depth,
    met3r,
    met3r_one_way,
    met3r_reference_compat,
    rgb_patches,
    upsample_features,
)
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.networks.geometry import GeometryProvider, PairGeometry
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError, ViewRecord

Pairs = Literal["cross_view", "consecutive"]
Region = Literal["all", "static", "dynamic"]
KEY_ENDINGS = {"all": "", "static": "_static", "dynamic": "_dyn"}
VIDEO_OF = {"target": "video", "reference": "reference_video"}
"""The argument that holds a view's pictures."""


@dataclass(frozen=True)
class _View:
    """One side of pairs: the same frames of everything known of it, (b p ...); None where unknown."""

    images: Tensor | None
    features: Tensor | None
    depth: Tensor | None
    cam_from_world: Tensor | None
    intrinsics: Tensor | None
    region: Tensor | None

    def lead(self) -> tuple[int, int]:
        """Return the number of videos and of frames."""
        known = next(value for value in vars(self).values() if value is not None)
        return int(known.shape[0]), int(known.shape[1])

    def __getitem__(self, index: tuple[int | slice, int | slice]) -> "_View":
        # Videos and frames are the first two axes of everything that is known of a view.
        parts = [None if value is None else value[index] for value in vars(self).values()]
        return _View(*parts)


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

        return cls(PatchFeatures(files.path("dino_vits16")), **options)

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
        second = self._side("target", video, target_features, target)
        num_videos, num_frames = second.lead()
        if self.pairs == "consecutive":
            first = second[:, :-1]
            second = second[:, 1:]
        else:
            first = self._side("reference", reference.video, reference_features, reference)
            if first.lead() != second.lead():
                raise InputError(f"reference_video: got (b, t) = {first.lead()}, want {second.lead()} as the target's")
        valid = valid_frames
        if valid is None:
            valid = torch.ones(num_videos, num_frames, dtype=torch.bool)
        check_shape("valid_frames", valid, "b t", b=num_videos, t=num_frames)
        if self.pairs == "consecutive":
            valid = valid[:, :-1] & valid[:, 1:]
        for item, wanted in enumerate(valid):
            scored = []
            for pair in wanted.nonzero()[:, 0].tolist():
                scored.append(self._score_pair(first[item, pair], second[item, pair]))
            self._add_video(scored)

    def compute(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return the score, the coverage and the counts, see the class."""
        return {
            self.key: self.mean(self.key),
            "coverage": self.mean("coverage"),
            "num_pairs": self.total("num_pairs").long(),
            "num_invalid": self.total("num_invalid").long(),
            "num_missing": self.num_missing(self.key),
        }

    def _side(
        self,
        name: str,
        video: Shaped[Tensor, "b t 3 h w"] | None,
        features: Float[Tensor, "b t h2 w2 d"] | None,
        view: ViewRecord,
    ) -> _View:
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
        return _View(video, features, view.depth, cam_from_world, intrinsics, view.dynamic)

    def _add_video(self, pairs: list[tuple[Float[Tensor, ""], Float[Tensor, ""]]]) -> None:
        """Keep the means over a video's pairs: scores, NaN where there is none, and coverages."""
        scores = coverages = torch.zeros(0, device=self.device)
        if pairs:
            scores, coverages = (torch.stack(column) for column in zip(*pairs, strict=True))
        invalid = scores.isnan() | (coverages == 0)
        self.add_video(
            {
                self.key: scores.nanmean(),
                "coverage": coverages.mean(),
                "num_invalid": invalid.sum(),
                "num_pairs": torch.tensor(len(pairs), device=self.device),
            }
        )

    def _score_pair(self, a: _View, b: _View) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        if not self._can_score(a, b):
            return torch.tensor(torch.nan, device=self.device), torch.zeros((), device=self.device)
        score, coverage = self._score_depth(a, b) if self.geometry is None else self._score_points(a, b)
        if not self.reference_compat:
            score = torch.where(coverage >= self.min_coverage, score, torch.nan)
        return score.to(self.device), coverage.to(self.device)

    def _can_score(self, a: _View, b: _View) -> bool:
        """Tell whether the region is known of a view and, where they are used, the cameras of both."""
        if self.region != "all" and a.region is None and b.region is None:
            return False
        if self.geometry is not None:
            return True
        cameras = [a.cam_from_world, b.cam_from_world, a.intrinsics, b.intrinsics]
        return all(bool(camera.isfinite().all()) for camera in cameras if camera is not None)

    def _score_depth(self, a: _View, b: _View) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Score a pair of known depth and cameras; the poses are chained in fp64, worlds being large."""
        assert a.depth is not None and b.depth is not None
        assert a.cam_from_world is not None and b.cam_from_world is not None
        assert a.intrinsics is not None and b.intrinsics is not None
        features_a, features_b = self._maps(a, b, a.depth.shape, b.depth.shape)
        b_from_a = compose(b.cam_from_world.double(), invert_pose(a.cam_from_world.double())).float()
        if self.reference_compat:
            points_b = transform_points(invert_pose(b_from_a), lift_depth(b.depth, b.intrinsics))
            points_a = lift_depth(a.depth, a.intrinsics)
            return met3r_reference_compat(features_a, features_b, points_a, points_b, a.intrinsics)
        options = (self._part(a), self._part(b), self.occlusion_tolerance, self.symmetric)
        return met3r(features_a, features_b, a.depth, b.depth, a.intrinsics, b.intrinsics, b_from_a, *options)

    def _score_points(self, a: _View, b: _View) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Score a pair by the points that the 3R model sees, a second time with the images swapped."""
        if self.reference_compat:
            seen = self._look(a, b)
            features_a, features_b = self._maps(a, b, seen.points.shape[1:3], seen.points.shape[1:3])
            points_a, points_b = seen.trusted_points()
            return met3r_reference_compat(features_a, features_b, points_a, points_b, seen.intrinsics)
        # In the frame of b, into which a's points are looked up first.
        seen = self._look(b, a)
        features_a, features_b = self._maps(a, b, seen.points.shape[1:3], seen.points.shape[1:3])
        there = self._score_into(seen, b, features_b, a, features_a)
        if not self.symmetric:
            return there
        back = self._score_into(self._look(a, b), a, features_a, b, features_b)
        return (there[0] + back[0]) / 2, (there[1] + back[1]) / 2

    def _score_into(
        self,
        seen: PairGeometry,
        receiver: _View,
        features_receiver: Float[Tensor, "h w d"],
        source: _View,
        features_source: Float[Tensor, "source_h source_w d"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        points_receiver, points_source = seen.trusted_points()
        size = points_receiver.shape[:2]
        options = (self._part(source, size), self._part(receiver, size), self.occlusion_tolerance)
        depth = points_receiver[..., 2]
        return met3r_one_way(features_source, features_receiver, points_source, depth, seen.intrinsics, *options)

    def _look(self, first: _View, second: _View) -> PairGeometry:
        assert self.geometry is not None and first.images is not None and second.images is not None
        with torch.no_grad():
            return self.geometry(torch.stack([first.images, second.images]))

    def _maps(
        self, a: _View, b: _View, size_a: torch.Size, size_b: torch.Size
    ) -> tuple[Float[Tensor, "h_a w_a d"], Float[Tensor, "h_b w_b d"]]:
        """Return one feature a pixel of both views; a pair at a time, since a map takes 100 MB at 256x256x384."""
        maps = []
        for view, size in ((a, size_a), (b, size_b)):
            if self.features is not None:
                assert view.images is not None
                low = self.features(view.images[None])
                check_shape("features", low, "n h w d", n=1)
            else:
                assert view.features is not None
                low = view.features[None]
            maps.append(upsample_features(low, *size)[0])
        return maps[0], maps[1]

    def _part(self, view: _View, size: torch.Size | None = None) -> Bool[Tensor, "h w"] | None:
        """Return where the view counts, at the size of the geometry; None = everywhere."""
        if self.region == "all" or view.region is None:
            return None
        part = view.region if self.region == "dynamic" else ~view.region
        if size is None or part.shape == size:
            return part
        resized = functional.interpolate(part[None, None].float(), size=tuple(size), mode="nearest-exact")
        return resized[0, 0] > 0


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


def _check_options(pairs: str, region: str, occlusion_tolerance: float, min_coverage: float) -> None:
    if pairs not in get_args(Pairs):
        raise InputError(f"pairs: got {pairs!r}, want one of {get_args(Pairs)}")
    if region not in get_args(Region):
        raise InputError(f"region: got {region!r}, want one of {get_args(Region)}")
    if not occlusion_tolerance > 0:
        raise InputError(f"occlusion_tolerance: got {occlusion_tolerance}, want a positive share of the depth")
    if not 0 <= min_coverage <= 1:
        raise InputError(f"min_coverage: got {min_coverage}, want a share in [0, 1]")
