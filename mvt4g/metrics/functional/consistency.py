"""MEt3R: how far features disagree where two views show the same surface.

A point of one view is brought into the other by depth and cameras; where it lands on the surface that the other view
shows, the features of both are compared. 0 = the views agree, 1 = unrelated, 2 = opposite.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import invert_pose, transform_points
from mvt4g.geometry.splat import splat_discs, splat_nearest
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.types import InputError

ROWS_AT_ONCE = 2048
"""Rows of features compared at a time: both stay in the processor's cache."""
REFERENCE_EPS = 1e-5
PATCH = 5
"""Pixels on a side of a colour patch."""


def met3r(
    features_a: Float[Tensor, "ha wa d"],
    features_b: Float[Tensor, "hb wb d"],
    depth_a: Float[Tensor, "ha wa"],
    depth_b: Float[Tensor, "hb wb"],
    intrinsics_a: Float[Tensor, "3 3"],
    intrinsics_b: Float[Tensor, "3 3"],
    b_from_a: Float[Tensor, "4 4"],
    region_a: Bool[Tensor, "ha wa"] | None = None,
    region_b: Bool[Tensor, "hb wb"] | None = None,
    occlusion_tolerance: float | int = 0.02,
    symmetric: bool = True,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Score a pair of views of known depth and cameras.

    ``1 - (S_ab + S_ba) / 2``, S being the mean cosine of features over the hits of one direction. A pixel of the
    receiving view is a hit when the nearest point that falls on it is as far as the surface the pixel shows.

    Args:
        features_a: One feature a pixel, as ``features_b``; all zero counts as cosine 0. Gradients flow to these alone.
        depth_a: z-depth of pixel centres, as ``depth_b``, scene units; 0 or less or non-finite = none, never a hit.
        intrinsics_a: K, in pixels of the view, as ``intrinsics_b``.
        b_from_a: Takes points of camera a to camera b.
        region_a: If given, as ``region_b``, only hits whose pixel there lies in it count (MEt3R-dyn: what moves).
        occlusion_tolerance: Largest difference of the point's depth and the pixel's, as a share of the pixel's.
        symmetric: False: points of a into view b only.

    Returns:
        The score in [0, 2], NaN if a direction has no hit; and the coverage, the share of the receiving view's pixels
        that are hits (the mean of both directions).

    Raises:
        InputError: If shapes disagree or a compared feature is not finite.

    Example:
        >>> import torch
        >>> intrinsics = torch.tensor([[4.0, 0.0, 2.0], [0.0, 4.0, 2.0], [0.0, 0.0, 1.0]])
        >>> features_a = torch.tensor([1.0, 0.0]).expand(4, 4, 2)
        >>> features_b = torch.tensor([0.6, 0.8]).expand(4, 4, 2)
        >>> depth = torch.full((4, 4), 2.0)
        >>> met3r(features_a, features_b, depth, depth, intrinsics, intrinsics, torch.eye(4))
        (tensor(0.4000), tensor(1.))

    Source: MEt3R (Asim et al., arXiv 2501.06336), with known geometry in place of DUSt3R's and an occlusion test.
    """
    check_shape("depth_a", depth_a, "h w", **check_shape("features_a", features_a, "h w d"))
    check_shape("depth_b", depth_b, "h w", **check_shape("features_b", features_b, "h w d"))
    points_a = transform_points(b_from_a.float(), lift_depth(depth_a, intrinsics_a))
    there = met3r_one_way(
        features_a, features_b, points_a, depth_b, intrinsics_b, region_a, region_b, occlusion_tolerance
    )
    if not symmetric:
        return there
    points_b = transform_points(invert_pose(b_from_a.float()), lift_depth(depth_b, intrinsics_b))
    back = met3r_one_way(
        features_b, features_a, points_b, depth_a, intrinsics_a, region_b, region_a, occlusion_tolerance
    )
    return (there[0] + back[0]) / 2, (there[1] + back[1]) / 2


def met3r_from_points(
    features_a: Float[Tensor, "ha wa d"],
    features_b: Float[Tensor, "hb wb d"],
    points_a: Float[Tensor, "ha wa 3"],
    points_b: Float[Tensor, "hb wb 3"],
    intrinsics_a: Float[Tensor, "3 3"],
    intrinsics_b: Float[Tensor, "3 3"],
    a_from_common: Float[Tensor, "4 4"],
    b_from_common: Float[Tensor, "4 4"],
    region_a: Bool[Tensor, "ha wa"] | None = None,
    region_b: Bool[Tensor, "hb wb"] | None = None,
    occlusion_tolerance: float | int = 0.02,
    symmetric: bool = True,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Score a pair of views whose pixels carry a point each, both maps in one frame; the rest as ``met3r``.

    Args:
        points_a: Common frame, scene units; a non-finite coordinate = none.
        points_b: The same of view b.
        a_from_common: Takes the points to camera a; the identity where the common frame is camera a.
        b_from_common: Takes the points to camera b.
    """
    b_from_common = b_from_common.float()
    there = met3r_one_way(
        features_a,
        features_b,
        transform_points(b_from_common, points_a.float()),
        transform_points(b_from_common, points_b.float())[..., 2],
        intrinsics_b,
        region_a,
        region_b,
        occlusion_tolerance,
    )
    if not symmetric:
        return there
    a_from_common = a_from_common.float()
    back = met3r_one_way(
        features_b,
        features_a,
        transform_points(a_from_common, points_b.float()),
        transform_points(a_from_common, points_a.float())[..., 2],
        intrinsics_a,
        region_b,
        region_a,
        occlusion_tolerance,
    )
    return (there[0] + back[0]) / 2, (there[1] + back[1]) / 2


def met3r_one_way(
    features_a: Float[Tensor, "ha wa d"],
    features_b: Float[Tensor, "hb wb d"],
    points_a: Float[Tensor, "ha wa 3"],
    depth_b: Float[Tensor, "hb wb"],
    intrinsics_b: Float[Tensor, "3 3"],
    region_a: Bool[Tensor, "ha wa"] | None = None,
    region_b: Bool[Tensor, "hb wb"] | None = None,
    occlusion_tolerance: float | int = 0.02,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Score the pixels of view b that points of view a land on; arguments and returns as in ``met3r``.

    Args:
        points_a: The points that a's pixels show, in the frame of camera b; non-finite = none.
    """
    check_shape("points_a", points_a, "h w 3", **check_shape("features_a", features_a, "h w d"))
    hits = surface_hits(points_a, depth_b, intrinsics_b, occlusion_tolerance)
    (score,) = compare_hits(features_a, features_b, hits, [(region_a, region_b)])
    return score


class SurfaceHits(NamedTuple):
    """Where the points of a source view lie on the surface that the pixels of a receiving view show.

    Attributes:
        source: Index of the source's pixel (row-major) whose point is nearest at each pixel; -1 = none.
        hit: Where that point is as far as the surface.
    """

    source: Int[Tensor, "hb wb"]
    hit: Bool[Tensor, "hb wb"]

    def within(
        self,
        source_region: Bool[Tensor, "ha wa"] | None,
        region: Bool[Tensor, "hb wb"] | None,
    ) -> Bool[Tensor, "hb wb"]:
        """Return the hits that lie in each region that is given: of the source, and of the receiver."""
        counted = self.hit
        if region is not None:
            counted = counted & region
        if source_region is not None:
            # Where there is no point the index is -1, which is no hit whatever the region says there.
            counted = counted & source_region.flatten()[self.source]
        return counted


def surface_hits(
    points_a: Float[Tensor, "ha wa 3"],
    depth_b: Float[Tensor, "hb wb"],
    intrinsics_b: Float[Tensor, "3 3"],
    occlusion_tolerance: float | int = 0.02,
) -> SurfaceHits:
    """Bring the points of view a into view b and find those that lie on the surface b shows; see ``met3r_one_way``.

    Raises:
        InputError: If the shapes are others.
    """
    check_shape("points_a", points_a, "ha wa 3")
    check_shape("depth_b", depth_b, "hb wb")
    # Positions are differences of large numbers: half precision would move points by pixels.
    with torch.autocast(points_a.device.type, enabled=False):
        points = rearrange(points_a.float(), "h w xyz -> (h w) xyz")
        index, depth = splat_nearest(points, intrinsics_b.float(), *depth_b.shape)
        depth_b = depth_b.detach().float()
        hit = (depth - depth_b).abs() <= occlusion_tolerance * depth_b  # False where either is unknown
        hit &= (index >= 0) & depth_b.isfinite() & (depth_b > 0)
    return SurfaceHits(index, hit)


def compare_hits(
    features_a: Float[Tensor, "ha wa d"],
    features_b: Float[Tensor, "hb wb d"],
    hits: SurfaceHits,
    regions: Sequence[tuple[Bool[Tensor, "ha wa"] | None, Bool[Tensor, "hb wb"] | None]],
) -> list[tuple[Float[Tensor, ""], Float[Tensor, ""]]]:
    """Score one direction in several regions; a hit is compared once, however many regions it lies in.

    Args:
        features_a: Of the source, one feature a pixel.
        features_b: Of the receiver.
        hits: Of the source's points in the receiver.
        regions: Of the source and the receiver; None = everywhere.

    Returns:
        Score and coverage for each region, as ``met3r``.

    Raises:
        InputError: If shapes disagree or a compared feature is not finite.
    """
    sizes = check_shape("features_a", features_a, "ha wa d") | check_shape("features_b", features_b, "hb wb d")
    check_shape("features_b", features_b, "hb wb d", d=features_a.shape[-1])
    check_shape("depth_b", hits.hit, "hb wb", **sizes)
    counted = []
    for region_a, region_b in regions:
        for name, region, axes in (("region_a", region_a, "ha wa"), ("region_b", region_b, "hb wb")):
            if region is not None:
                check_shape(name, region, axes, **sizes)
        counted.append(hits.within(region_a, region_b).flatten())
    with torch.autocast(features_a.device.type, enabled=False):
        row_b = torch.stack(counted).any(dim=0).nonzero()[:, 0]
        row_a = hits.source.flatten()[row_b]
        cosines = _cosines(features_a.flatten(0, 1), features_b.flatten(0, 1), row_a, row_b)
        scores = []
        for rows in counted:
            scores.append((1 - cosines[rows[row_b]].mean(), rows.float().mean()))
        return scores


def met3r_reference_compat(
    features_a: Float[Tensor, "h w d"],
    features_b: Float[Tensor, "h w d"],
    points_a: Float[Tensor, "h w 3"],
    points_b: Float[Tensor, "h w 3"],
    intrinsics_a: Float[Tensor, "3 3"],
    radius_ndc: float | int = 0.01,
    points_per_pixel: int = 10,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Reproduce the score of the authors' code from given points and features, its faults included.

    Both clouds are rendered as fading discs into one camera at view a (the first image), and compared wherever each
    has a disc: one direction, no occlusion test, hidden surfaces shine through, and no overlap scores 0, as if
    perfect. The camera's focal length is ``1 + f / size`` in normalised device coordinates, where ``2 f / min(h, w)``
    were right; its centre is the image centre whatever K says. Not reproduced: MASt3R's points, its confidence, the
    focal length voted from them (K's stands in) and FeatUp.

    Args:
        features_a: One feature a pixel.
        features_b: The same of the second image.
        points_a: In the frame of camera a, scene units; a non-finite coordinate = none.
        points_b: In the frame of camera a too.
        intrinsics_a: K of view a, of which only the focal lengths are used.
        radius_ndc: Radius of a disc as a share of half the shorter side of the image.
        points_per_pixel: How many discs a pixel blends.

    Returns:
        The score, and the share of pixels compared.

    Source: mohammadasim98/met3r, ``met3r/met3r.py`` (read in a copy of it), on PyTorch3D's point rasteriser.
    """
    sizes = check_shape("features_a", features_a, "h w d")
    check_shape("features_b", features_b, "h w d", **sizes)
    for name, points in (("points_a", points_a), ("points_b", points_b)):
        check_shape(name, points, "h w 3", **sizes)
    height, width = features_a.shape[:2]
    with torch.autocast(features_a.device.type, enabled=False):
        half = min(height, width) / 2
        # The fault of the original: "1 + f / size" where "2 f / min(h, w)" were right.
        camera = torch.eye(3, device=points_a.device)
        camera[0, 0] = (1 + intrinsics_a[0, 0] / width) * half
        camera[1, 1] = (1 + intrinsics_a[1, 1] / height) * half
        camera[0, 2] = width / 2
        camera[1, 2] = height / 2
        discs = []
        for points in (points_a, points_b):
            flat = rearrange(points.float(), "h w xyz -> (h w) xyz")
            discs.append(splat_discs(flat, camera, height, width, radius_ndc * half, points_per_pixel))
        (index_a, weight_a), (index_b, weight_b) = discs
        both = ((index_a[..., 0] >= 0) & (index_b[..., 0] >= 0)).flatten().nonzero()[:, 0]
        total = features_a.new_zeros((), dtype=torch.float32)
        for rows in both.split(ROWS_AT_ONCE):
            one = _blend(features_a, index_a.flatten(0, 1)[rows], weight_a.flatten(0, 1)[rows])
            other = _blend(features_b, index_b.flatten(0, 1)[rows], weight_b.flatten(0, 1)[rows])
            length = torch.linalg.vector_norm(one, dim=-1) * torch.linalg.vector_norm(other, dim=-1)
            total = total + (1 - (one * other).sum(dim=-1) / (length + REFERENCE_EPS)).sum()
        return total / (len(both) + REFERENCE_EPS), total.new_tensor(len(both) / (height * width))


def lift_depth(depth: Float[Tensor, "h w"], intrinsics: Float[Tensor, "3 3"]) -> Float[Tensor, "h w 3"]:
    """Return the points that pixel centres show, in their camera's frame; NaN where there is no depth."""
    depth = torch.where(depth.isfinite() & (depth > 0), depth, torch.nan).float()
    centres = pixel_centres(depth.shape[0], depth.shape[1], device=depth.device)
    return unproject_pixels(centres, depth, torch.eye(4, device=depth.device), intrinsics.float())


def upsample_features(
    features: Float[Tensor, "n h w d"],
    height: int,
    width: int,
) -> Float[Tensor, "n hi wi d"]:
    """Return one feature a pixel, in fp32, bilinear between the centres of the feature cells."""
    if features.shape[1:3] == (height, width):
        return features.float()
    maps = rearrange(features.float().contiguous(), "n h w d -> n d h w")  # so that a pixel's features lie together
    maps = functional.interpolate(maps, (height, width), mode="bilinear", align_corners=False)
    return rearrange(maps, "n d h w -> n h w d")


def rgb_patches(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w 75"]:
    """Return each pixel's 5x5 colour patch less its mean over pixels and channels, at length 1.

    The features of ``warp_rgb5``: they need no weights, and are no MEt3R. Outside the image its border is repeated; a
    patch of one grey stays all zero.
    """
    padded = functional.pad(images.float(), [PATCH // 2] * 4, mode="replicate")
    windows = padded.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    patches = rearrange(windows, "n c h w i j -> n h w (c i j)")
    # In place where no gradient needs what was there: patches of 480x832 pixels take 120 MB.
    patches -= patches.mean(dim=-1, keepdim=True)
    length = torch.linalg.vector_norm(patches, dim=-1, keepdim=True)
    scale = torch.where(length > 0, length, 1.0)
    return patches / scale if patches.requires_grad else patches.div_(scale)


def _cosines(
    features_a: Float[Tensor, "na d"],
    features_b: Float[Tensor, "nb d"],
    rows_a: Int[Tensor, " m"],
    rows_b: Int[Tensor, " m"],
) -> Float[Tensor, " m"]:
    """Compare rows in fp32; 0 where one has no length."""
    parts = []
    for some_a, some_b in zip(rows_a.split(ROWS_AT_ONCE), rows_b.split(ROWS_AT_ONCE), strict=True):
        a = features_a.index_select(0, some_a).float()
        b = features_b.index_select(0, some_b).float()
        length = torch.linalg.vector_norm(a, dim=-1) * torch.linalg.vector_norm(b, dim=-1)
        parts.append((a * b).sum(dim=-1) / torch.where(length > 0, length, 1.0))
    cosines = torch.cat(parts) if parts else features_a.new_zeros(0, dtype=torch.float32)
    if not bool(cosines.isfinite().all()):
        raise InputError("features: got NaN or infinity on a compared pixel, want finite numbers")
    return cosines


def _blend(
    features: Float[Tensor, "h w d"], index: Int[Tensor, "n k"], weight: Float[Tensor, "n k"]
) -> Float[Tensor, "n d"]:
    # An empty place of a pixel has index -1 and weight 0: whichever row stands in for it adds nothing.
    rows = features.flatten(0, 1).float()
    return functional.embedding_bag(index.clamp(min=0), rows, mode="sum", per_sample_weights=weight)
