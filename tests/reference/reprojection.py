"""Reprojection errors and a pose's rotation and position error, point by point from the definitions, NumPy alone."""

import math

import numpy as np


def project(point, cam_from_world, intrinsics):
    """Return (x, y), or None behind the camera."""
    camera = [sum(cam_from_world[i][j] * point[j] for j in range(3)) + cam_from_world[i][3] for i in range(3)]
    if camera[2] <= 0:
        return None
    image = [sum(intrinsics[i][j] * camera[j] for j in range(3)) for i in range(3)]
    return image[0] / image[2], image[1] / image[2]


def num_agreeing(pixels, points, cam_from_world, intrinsics, threshold_px):
    """Count the points that reproject to within the threshold."""
    count = 0
    for pixel, point in zip(pixels, points, strict=True):
        projected = project(point, cam_from_world, intrinsics)
        if projected is not None and math.dist(projected, pixel) < threshold_px:
            count += 1
    return count


def rotation_error_deg(a, b):
    """Return the angle between two rotations by the trace, degrees."""
    trace = np.trace(np.asarray(a)[:3, :3].T @ np.asarray(b)[:3, :3])
    return math.degrees(math.acos(min(1.0, max(-1.0, (trace - 1) / 2))))


def position_error(a, b):
    """Return the distance of two cameras given as cam_from_world."""
    centres = [np.linalg.inv(np.asarray(pose, dtype=float))[:3, 3] for pose in (a, b)]
    return float(np.linalg.norm(centres[0] - centres[1]))
