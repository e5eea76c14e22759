"""MEt3R by loops over pixels, written from its definition; and the authors' code, the same way."""

import numpy as np


def lift(depth, intrinsics):
    """Points of pixel centres (h w 3), None where there is no depth."""
    inverse = np.linalg.inv(intrinsics)
    return [
        [
            depth[y, x] * (inverse @ np.array([x + 0.5, y + 0.5, 1.0])) if 0 < depth[y, x] < np.inf else None
            for x in range(depth.shape[1])
        ]
        for y in range(depth.shape[0])
    ]


def one_way(features_a, features_b, points_in_b, depth_b, intrinsics_b, region_a, region_b, tolerance):
    height, width = depth_b.shape
    nearest = {}
    for row_a, row in enumerate(points_in_b):
        for column_a, point in enumerate(row):
            if point is None or not point[2] > 0:
                continue
            x, y, _ = intrinsics_b @ point / point[2]
            pixel = (int(np.floor(y)), int(np.floor(x)))
            if 0 <= pixel[0] < height and 0 <= pixel[1] < width:
                candidate = (point[2], row_a, column_a)
                nearest[pixel] = min(nearest.get(pixel, candidate), candidate)
    dissimilarities = []
    for (row, column), (z, row_a, column_a) in nearest.items():
        surface = depth_b[row, column]
        if not 0 < surface < np.inf or abs(z - surface) > tolerance * surface:
            continue
        if region_a is not None and not region_a[row_a, column_a]:
            continue
        if region_b is not None and not region_b[row, column]:
            continue
        a, b = features_a[row_a, column_a], features_b[row, column]
        length = np.linalg.norm(a) * np.linalg.norm(b)
        dissimilarities.append(1 - a @ b / length if length > 0 else 1.0)
    score = np.mean(dissimilarities) if dissimilarities else np.nan
    return score, len(dissimilarities) / (height * width)


def move(points, transform):
    rotation, translation = transform[:3, :3], transform[:3, 3]
    return [[None if point is None else rotation @ point + translation for point in row] for row in points]


def met3r(
    features_a, features_b, depth_a, depth_b, intrinsics_a, intrinsics_b, b_from_a,
    region_a=None, region_b=None, tolerance=0.02, symmetric=True,
):  # fmt: skip
    points_a, points_b = lift(depth_a, intrinsics_a), lift(depth_b, intrinsics_b)
    there = one_way(
        features_a, features_b, move(points_a, b_from_a), depth_b, intrinsics_b, region_a, region_b, tolerance
    )
    if not symmetric:
        return there
    a_from_b = np.linalg.inv(b_from_a)
    back = one_way(
        features_b, features_a, move(points_b, a_from_b), depth_a, intrinsics_a, region_b, region_a, tolerance
    )
    return (there[0] + back[0]) / 2, (there[1] + back[1]) / 2


def rendered(features, points, focal, height, width, radius_ndc, points_per_pixel):
    """PyTorch3D's way: discs in normalised device coordinates, +x left and +y up, blended front to back."""
    half = min(height, width) / 2
    picture = np.full((height, width, features.shape[-1]), -10000.0)
    flat = [(point, features[y, x]) for y, row in enumerate(points) for x, point in enumerate(row) if point is not None]
    for row in range(height):
        for column in range(width):
            centre = np.array([width / 2 - column - 0.5, height / 2 - row - 0.5]) / half
            over = []
            for number, (point, feature) in enumerate(flat):
                if not point[2] > 0:
                    continue
                ndc = -np.array(focal) * point[:2] / point[2]
                square = ((ndc - centre) ** 2).sum()
                if square < radius_ndc**2:
                    over.append((point[2], number, square, feature))
            if over:
                left, blended = 1.0, 0.0
                for _, _, square, feature in sorted(over, key=lambda entry: entry[:2])[:points_per_pixel]:
                    opacity = 1 - square / radius_ndc**2
                    blended, left = blended + left * opacity * feature, left * (1 - opacity)
                picture[row, column] = blended
    return picture


def authors_code(features_a, features_b, points_a, points_b, intrinsics_a, radius_ndc, points_per_pixel):
    height, width = features_a.shape[:2]
    focal = (1 + intrinsics_a[0, 0] / width, 1 + intrinsics_a[1, 1] / height)
    one, other = (
        rendered(features, points, focal, height, width, radius_ndc, points_per_pixel)
        for features, points in ((features_a, points_a), (features_b, points_b))
    )
    mask = ((one != -10000) & (other != -10000)).all(axis=-1)
    length = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    dissimilarity = 1 - (one * other).sum(axis=-1) / (length + 1e-5)
    return (dissimilarity * mask).sum() / (mask.sum() + 1e-5), mask.mean()
