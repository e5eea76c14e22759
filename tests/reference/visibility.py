"""Twin of synthetic.tracks.visibility: one point, one view, one frame at a time, rule by rule."""

import math

import numpy as np


def visibility(tracks, points_world, normals_world, point_instance, poses, depth, instances, tolerance):
    views, frames, count, _ = tracks.shape
    height, width = depth.shape[-2:]
    seen = np.zeros((views, frames, count), dtype=bool)
    for view in range(views):
        for frame in range(frames):
            rotation, translation = poses[view, frame, :3, :3], poses[view, frame, :3, 3]
            eye = -rotation.T @ translation
            for point in range(count):
                position = points_world[frame, point]
                own_depth = (rotation @ position + translation)[2]
                if own_depth <= 0:
                    continue
                x, y = tracks[view, frame, point]
                if not (0 <= x < width and 0 <= y < height):
                    continue
                left, top = math.floor(x - 0.5), math.floor(y - 0.5)
                around = [
                    (min(max(row, 0), height - 1), min(max(column, 0), width - 1))
                    for row in (top, top + 1)
                    for column in (left, left + 1)
                ]
                if max(depth[view, frame][cell] for cell in around) < (1 - tolerance) * own_depth:
                    continue
                if all(instances[view, frame][cell] != point_instance[point] for cell in around):
                    continue
                if np.dot(eye - position, normals_world[frame, point]) <= 0:
                    continue
                seen[view, frame, point] = True
    return seen
