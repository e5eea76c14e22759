"""ReDirector's camera of any number of frames, step by step in NumPy, from the description of its evaluation."""

import itertools

import numpy as np


def axis_times_angle(rotation):
    """Of a rotation under half a turn."""
    sine = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    length = np.linalg.norm(sine) / 2
    if length == 0:
        return np.zeros(3)
    return sine / 2 / length * np.arctan2(length, (np.trace(rotation) - 1) / 2)


def turn(axis, angle):
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def camera_path(world_from_cam, num_frames, speed=1.0):
    """Chain the steps of a path (t 4 4), resampled over ``num_frames`` - 1 steps."""
    turns, shifts = [], []
    for now, then in itertools.pairwise(world_from_cam):
        turns.append(axis_times_angle(now[:3, :3].T @ then[:3, :3]))
        shifts.append(now[:3, :3].T @ (then[:3, 3] - now[:3, 3]))
    whole = np.sum(turns, axis=0)
    axis = whole / np.linalg.norm(whole) if np.linalg.norm(whole) > 1e-6 else np.array([0.0, 0.0, 1.0])
    given = np.linspace(0, 1, len(turns))
    pose, angle = np.eye(4), 0.0
    path = [pose.copy()]
    for place in np.linspace(0, 1, num_frames - 1):
        angle += speed * np.interp(place, given, [one @ axis for one in turns])
        shift = speed * np.array([np.interp(place, given, [one[k] for one in shifts]) for k in range(3)])
        pose[:3, :3] = turn(axis, angle)
        pose[:3, 3] += pose[:3, :3] @ shift
        path.append(pose.copy())
    return np.stack(path)
