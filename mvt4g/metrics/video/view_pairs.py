"""One pair of views, scored by several looks at once: points land once, and each network sees a frame once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from mvt4g.geometry.pose import compose, invert_pose, transform_points
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.metrics.functional.consistency import (
    SurfaceHits,
    compare_hits,
    lift_depth,
    met3r_reference_compat,
    surface_hits,
    upsample_features,
)
from mvt4g.metrics.networks.geometry import GeometryProvider, PairGeometry

Region = Literal["all", "static", "dynamic"]
Features = Callable[[Float[Tensor, "n 3 h w"]], Float[Tensor, "n low_h low_w d"]]
Score = tuple[Float[Tensor, ""], Float[Tensor, ""]]
"""A score, NaN where there is none, and the coverage."""


@dataclass(frozen=True)
class View:
    """One side of pairs: the same frames of everything known of it, (b p ...); None where unknown."""

    images: Float[Tensor, "*lead 3 h w"] | None
    features: Float[Tensor, "*lead h2 w2 d"] | None
    depth: Float[Tensor, "*lead h w"] | None
    cam_from_world: Float[Tensor, "*lead 4 4"] | None
    intrinsics: Float[Tensor, "*lead 3 3"] | None
    region: Bool[Tensor, "*lead h w"] | None

    def lead(self) -> tuple[int, int]:
        """Return the number of videos and of frames."""
        known = next(value for value in vars(self).values() if value is not None)
        return int(known.shape[0]), int(known.shape[1])

    def __getitem__(self, index: tuple[int | slice, int | slice]) -> "View":
        # Videos and frames are the first two axes of everything that is known of a view.
        parts = [None if value is None else value[index] for value in vars(self).values()]
        return View(*parts)


class Look(NamedTuple):
    """What one metric looks at in a pair.

    Attributes:
        features: Of images; None = the views bring their own.
        region: Where they are compared.
    """

    features: Features | None
    region: Region


@dataclass(frozen=True)
class PairRule:
    """How the two views of a pair are brought together, the same for all looks; fields as the options of ``MEt3R``."""

    geometry: GeometryProvider | None = None
    symmetric: bool = True
    occlusion_tolerance: float | int = 0.02
    reference_compat: bool = False


class _Direction(NamedTuple):
    """The points of one view in the other; ``first`` says that the first view's go into the second."""

    first: bool
    hits: SurfaceHits


@dataclass(frozen=True)
class _Pair:
    """Two views, and the size of the map of points of each."""

    a: View
    b: View
    size_a: torch.Size
    size_b: torch.Size


def score_pair(a: View, b: View, looks: Sequence[Look], rule: PairRule) -> list[Score]:
    """Score a pair of frames by every look.

    Args:
        a: One frame of the reference, or frame t.
        b: One of the generated view, or frame t + 1.
        looks: In any order; those that share an extractor see its features made once.
        rule: How the views are compared.

    Returns:
        A score for each look. A look has none, and a coverage of 0, where no view's region is given that it asks for,
        or a camera is not finite.

    Raises:
        InputError: If an extractor gives no map of features.
    """
    nothing = (torch.tensor(torch.nan), torch.zeros(()))
    scores = [nothing for _ in looks]
    possible = [place for place, look in enumerate(looks) if _can_score(a, b, look.region, rule)]
    if not possible:
        return scores
    if rule.reference_compat:
        for place in possible:
            scores[place] = _score_as_reference(a, b, looks[place], rule)
        return scores
    pair, directions = _directions(a, b, rule)
    for features, places in _by_extractor(looks, possible).items():
        # Maps of one extractor at a time: a map of 480x832 pixels of 384 features takes 600 MB.
        maps = _maps(pair, features)
        regions = [looks[place].region for place in places]
        each_way = [_score_direction(pair, maps, direction, regions) for direction in directions]
        for number, place in enumerate(places):
            scores[place] = _mean_of([found[number] for found in each_way])
    return scores


def _by_extractor(looks: Sequence[Look], possible: Sequence[int]) -> dict[Features | None, list[int]]:
    """Return the places of looks by what makes their features; wrappers of one network are one extractor."""
    groups: dict[int, list[int]] = {}
    for place in possible:
        features = looks[place].features
        groups.setdefault(id(getattr(features, "net", features)), []).append(place)
    return {looks[places[0]].features: places for places in groups.values()}


def _can_score(a: View, b: View, region: Region, rule: PairRule) -> bool:
    """Tell whether the region is known of a view and, where they are used, the cameras of both."""
    if region != "all" and a.region is None and b.region is None:
        return False
    if rule.geometry is not None:
        return True
    cameras = [a.cam_from_world, b.cam_from_world, a.intrinsics, b.intrinsics]
    return all(bool(camera.isfinite().all()) for camera in cameras if camera is not None)


def _directions(a: View, b: View, rule: PairRule) -> tuple[_Pair, list[_Direction]]:
    """Bring the points of each view into the other; of one direction the first view's alone."""
    tolerance = rule.occlusion_tolerance
    if rule.geometry is not None:
        # In the frame of b, into which a's points are looked up first; a second time with the images swapped.
        seen = _look(rule.geometry, b, a)
        size = seen.points.shape[1:3]
        pair = _Pair(a, b, size, size)
        directions = [_Direction(True, _hits_of(seen, tolerance))]
        if rule.symmetric:
            directions.append(_Direction(False, _hits_of(_look(rule.geometry, a, b), tolerance)))
        return pair, directions
    assert a.depth is not None and b.depth is not None
    assert a.intrinsics is not None and b.intrinsics is not None
    b_from_a = _second_from_first(a, b)
    points_a = transform_points(b_from_a, lift_depth(a.depth, a.intrinsics))
    directions = [_Direction(True, surface_hits(points_a, b.depth, b.intrinsics, tolerance))]
    if rule.symmetric:
        points_b = transform_points(invert_pose(b_from_a), lift_depth(b.depth, b.intrinsics))
        directions.append(_Direction(False, surface_hits(points_b, a.depth, a.intrinsics, tolerance)))
    return _Pair(a, b, a.depth.shape, b.depth.shape), directions


def _second_from_first(a: View, b: View) -> Float[Tensor, "4 4"]:
    """Return the pose between two cameras, chained in fp64, worlds being large."""
    assert a.cam_from_world is not None and b.cam_from_world is not None
    return compose(b.cam_from_world.double(), invert_pose(a.cam_from_world.double())).float()


def _look(geometry: GeometryProvider, first: View, second: View) -> PairGeometry:
    assert first.images is not None and second.images is not None
    with torch.no_grad():
        return geometry(torch.stack([first.images, second.images]))


def _hits_of(seen: PairGeometry, tolerance: float | int) -> SurfaceHits:
    """Return where the second image's points lie on the surface of the first."""
    points_receiver, points_source = seen.trusted_points()
    return surface_hits(points_source, points_receiver[..., 2], seen.intrinsics, tolerance)


def _maps(pair: _Pair, features: Features | None) -> tuple[Float[Tensor, "h_a w_a d"], Float[Tensor, "h_b w_b d"]]:
    """Return one feature a pixel of both views."""
    maps = []
    for view, size in ((pair.a, pair.size_a), (pair.b, pair.size_b)):
        if features is not None:
            assert view.images is not None
            low = features(view.images[None])
            check_shape("features", low, "n h w d", n=1)
        else:
            assert view.features is not None
            low = view.features[None]
        maps.append(upsample_features(low, *size)[0])
    return maps[0], maps[1]


def _score_direction(
    pair: _Pair,
    maps: tuple[Float[Tensor, "h_a w_a d"], Float[Tensor, "h_b w_b d"]],
    direction: _Direction,
    regions: Sequence[Region],
) -> list[Score]:
    """Score one direction in every region."""
    source, receiver = (pair.a, pair.b) if direction.first else (pair.b, pair.a)
    size_source, size_receiver = (pair.size_a, pair.size_b) if direction.first else (pair.size_b, pair.size_a)
    features_source, features_receiver = maps if direction.first else (maps[1], maps[0])
    parts = []
    for region in regions:
        parts.append((_part(source, region, size_source), _part(receiver, region, size_receiver)))
    return compare_hits(features_source, features_receiver, direction.hits, parts)


def _mean_of(scores: Sequence[Score]) -> Score:
    """Return the mean over directions."""
    if len(scores) == 1:
        return scores[0]
    (there, there_coverage), (back, back_coverage) = scores
    return (there + back) / 2, (there_coverage + back_coverage) / 2


def _part(view: View, region: Region, size: torch.Size) -> Bool[Tensor, "h w"] | None:
    """Return where the view counts, at the size of the geometry; None = everywhere."""
    if region == "all" or view.region is None:
        return None
    part = view.region if region == "dynamic" else ~view.region
    if part.shape == size:
        return part
    resized = functional.interpolate(part[None, None].float(), size=tuple(size), mode="nearest-exact")
    return resized[0, 0] > 0


def _score_as_reference(a: View, b: View, look: Look, rule: PairRule) -> Score:
    """Score a pair as the authors' code does."""
    if rule.geometry is not None:
        seen = _look(rule.geometry, a, b)
        size = seen.points.shape[1:3]
        features_a, features_b = _maps(_Pair(a, b, size, size), look.features)
        points_a, points_b = seen.trusted_points()
        return met3r_reference_compat(features_a, features_b, points_a, points_b, seen.intrinsics)
    assert a.depth is not None and b.depth is not None
    assert a.intrinsics is not None and b.intrinsics is not None
    features_a, features_b = _maps(_Pair(a, b, a.depth.shape, b.depth.shape), look.features)
    points_b = transform_points(invert_pose(_second_from_first(a, b)), lift_depth(b.depth, b.intrinsics))
    return met3r_reference_compat(features_a, features_b, lift_depth(a.depth, a.intrinsics), points_b, a.intrinsics)
