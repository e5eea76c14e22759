"""Renderings of an image with depth, point by point and pixel by pixel, in NumPy and float64."""

import numpy as np


def moved_pixels(depth, source_pose, source_k, target_pose, target_k):
    """Yield row, column, target pixel (x, y) and target depth of every pixel that has a depth."""
    world_from_source = np.linalg.inv(source_pose)
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            d = depth[row, column]
            if not (np.isfinite(d) and d > 0):
                continue
            ray = np.linalg.inv(source_k) @ np.array([column + 0.5, row + 0.5, 1.0])
            world = world_from_source @ np.append(ray * d, 1.0)
            point = (target_pose @ world)[:3]
            if point[2] <= 0:
                continue
            pixel = target_k @ point
            yield row, column, pixel[:2] / pixel[2], point[2]


def smooth(depth, window=5, tolerance=0.05):
    """GEN3C's edge rule over the known depths of a window."""
    kept = np.zeros(depth.shape, bool)
    reach = window // 2
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            part = depth[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
            known = part[np.isfinite(part) & (part > 0)]
            own = depth[row, column]
            if np.isfinite(own) and own > 0:
                kept[row, column] = (known.max() - known.min()) / known.mean() < tolerance
    return kept


def hard_points(image, depth, source, target, size, edge_filter):
    seen, z = np.zeros((image.shape[0], *size)), np.full(size, np.inf)
    kept = smooth(depth) if edge_filter else np.ones(depth.shape, bool)
    for row, column, (x, y), distance in moved_pixels(depth, *source, *target):
        inside = 0 <= x < size[1] and 0 <= y < size[0]
        if kept[row, column] and inside and distance < z[int(y), int(x)]:
            z[int(y), int(x)] = distance
            seen[:, int(y), int(x)] = image[:, row, column]
    mask = np.isfinite(z)
    return seen, mask, np.where(mask, z, 0.0)


def soft_points(image, depth, source, target, size):
    points = list(moved_pixels(depth, *source, *target))
    farthest = max(distance for *_, distance in points)
    total, weight = np.zeros((image.shape[0] + 1, *size)), np.zeros(size)
    for row, column, (x, y), distance in points:
        nearness = np.exp(-50 * np.log1p(distance) / np.log1p(farthest))
        left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
        for i, j in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            share = max(0.0, 1 - abs(x - 0.5 - j)) * max(0.0, 1 - abs(y - 0.5 - i)) * nearness
            if 0 <= i < size[0] and 0 <= j < size[1]:
                total[:, i, j] += share * np.append(image[:, row, column], distance)
                weight[i, j] += share
    mask = weight > 0
    mean = np.where(mask, total / np.where(mask, weight, 1.0), 0.0)
    return mean[:-1], mask, mean[-1]


def mesh(image, depth, source, target, size, keep_face):
    """Two triangles for four neighbours; each pixel's ray is cut with every face in space, and the nearest is seen."""
    target_pose, target_k = target
    corners = {}
    for row, column, _, _ in moved_pixels(depth, *source, *target):
        ray = np.linalg.inv(source[1]) @ np.array([column + 0.5, row + 0.5, 1.0])
        in_source = ray * depth[row, column]
        world = np.linalg.inv(source[0]) @ np.append(in_source, 1.0)
        corners[row, column] = ((target_pose @ world)[:3], in_source)
    seen, z = np.zeros((image.shape[0], *size)), np.full(size, np.inf)
    for row in range(depth.shape[0] - 1):
        for column in range(depth.shape[1] - 1):
            upper = ((row, column), (row + 1, column), (row, column + 1))
            lower = ((row + 1, column), (row + 1, column + 1), (row, column + 1))
            for face in (upper, lower):
                if not all(corner in corners for corner in face):
                    continue
                if not keep_face(np.stack([corners[corner][1] for corner in face])):
                    continue
                points = np.stack([corners[corner][0] for corner in face], axis=1)
                _draw(points, [image[:, r, c] for r, c in face], target_k, seen, z)
    mask = np.isfinite(z)
    return seen, mask, np.where(mask, z, 0.0)


def _draw(points, colours, k, seen, z):
    """A pixel's ray is t K^-1 (x, y, 1); it meets the face where positive shares of the corners add up to it."""
    if abs(np.linalg.det(points)) < 1e-12:
        return
    column, row = np.meshgrid(np.arange(z.shape[1]) + 0.5, np.arange(z.shape[0]) + 0.5)
    rays = np.stack([column, row, np.ones_like(row)], axis=-1) @ np.linalg.inv(k).T
    share = rays @ np.linalg.inv(points).T
    total = share.sum(axis=-1)
    met = (share >= -1e-9).all(axis=-1) & (total > 0)
    distance = 1 / np.where(met, total, 1.0)  # the ray has depth 1, so that the point has depth t = 1 / total
    nearer = met & (distance < z)
    z[nearer] = distance[nearer]
    seen[:, nearer] = np.stack(colours, axis=1) @ (share[nearer] / total[nearer][:, None]).T
