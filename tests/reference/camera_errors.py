"""Slow twin of ``metrics/functional/{camera,relative_pose}.py``: one video, one frame, one pair at a time.

Angles by the chord (2 asin of half the Frobenius distance), not by atan2; alignment by Horn's quaternions.
"""

import math

import numpy as np

from tests.reference.umeyama import similarity

NAN = float("nan")


def angle(a, b):
    """Radians between two rotations."""
    return 2 * math.asin(min(1.0, np.linalg.norm(a - b) / (2 * math.sqrt(2))))


def relative(path, frames):
    """Poses of some frames, seen from the first of them."""
    return [np.linalg.inv(path[frames[0]]) @ path[i] for i in frames]


def largest_norm(poses):
    return max(np.linalg.norm(pose[:3, 3]) for pose in poses)


def largest_distance(poses):
    return max(np.linalg.norm(a[:3, 3] - b[:3, 3]) for a in poses for b in poses)


def first_frame_errors(pred, target):
    """Per frame: radians, distance of self-normalised centres, Frobenius distance; of poses already relative."""
    static = largest_norm(target) <= 1e-6
    angles, distances, frobenius = [], [], []
    for p, g in zip(pred, target, strict=True):
        shift_p = p[:3, 3] / (largest_norm(pred) + 1e-9)
        shift_g = g[:3, 3] / (largest_norm(target) + 1e-9)
        angles.append(angle(g[:3, :3], p[:3, :3]))
        distances.append(NAN if static else np.linalg.norm(shift_g - shift_p))
        difference = np.zeros((3, 4))
        difference[:, :3] = g[:3, :3] - p[:3, :3]
        difference[:, 3] = 0 if static else shift_g - shift_p
        frobenius.append(np.linalg.norm(difference))
    return angles, distances, frobenius


def pairwise_rotation(pred, target):
    """Mean over ordered pairs, radians."""
    errors = []
    for i in range(len(pred)):
        for j in range(len(pred)):
            if i != j:
                errors.append(angle(target[i][:3, :3].T @ target[j][:3, :3], pred[i][:3, :3].T @ pred[j][:3, :3]))
    return sum(errors) / len(errors)


def fitted_translation(pred, target, fit):
    """Distance after a fit, as a share of the largest distance between true centres."""
    a, b = np.array([p[:3, 3] for p in pred]), np.array([g[:3, 3] for g in target])
    if fit == "sim3":
        scale, rotation, shift = similarity(a, b)
    else:
        dot, length = sum(p @ g for p, g in zip(a, b, strict=True)), sum(p @ p for p in a)
        scale, rotation, shift = max(0.0, dot / length if length else 0.0), np.eye(3), np.zeros(3)
    if largest_norm(target) <= 1e-6:
        return NAN
    errors = [np.linalg.norm(g - (scale * rotation @ p + shift)) for p, g in zip(a, b, strict=True)]
    return sum(errors) / len(errors) / (largest_distance(target) + 1e-6)


def camera_errors(pred, target, protocol, registered=None):
    """Return (rotation, translation, CamMC) of world-from-camera paths (t 4 4)."""
    num_frames = len(pred)
    frames = [i for i in range(num_frames) if registered is None or registered[i]]
    if len(frames) < 2:
        return NAN, NAN, NAN
    pred, target = relative(pred, frames), relative(target, frames)
    if protocol == "redirector":
        return math.degrees(pairwise_rotation(pred, target)), fitted_translation(pred, target, "sim3"), NAN
    means = [sum(errors) / len(frames) for errors in first_frame_errors(pred, target)]
    if protocol == "mvtrack4gen":
        return math.degrees(means[0]), means[1], means[2]
    return tuple(mean * num_frames for mean in means)


def upstream_redirector_translation(pred, target):
    """ReDirector's formula as its code has it, with nothing about standing still: 0 / 0 where nothing moves."""
    a, b = pred[:, :3, 3], target[:, :3, 3]
    from_mean, to_mean = a - a.mean(axis=0), b - b.mean(axis=0)
    u, s, v = np.linalg.svd(to_mean.T @ from_mean / len(a))
    signs = np.array([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    with np.errstate(invalid="ignore"):
        scale = (s * signs).sum() / from_mean.var(axis=0).sum()
    rotation = u @ np.diag(signs) @ v
    fitted = scale * from_mean @ rotation.T + b.mean(axis=0)
    extent = max(np.linalg.norm(p - q) for p in b for q in b)
    return float(np.linalg.norm(b - fitted, axis=1).mean() / (extent + 1e-6))


def relative_pose_accuracy(pred, target, registered, thresholds, auc, signed):
    """Return (RRA at each threshold, RTA at each threshold, AUC)."""
    turns, directions, both = [], [], []
    for i in range(len(pred)):
        for j in range(i + 1, len(pred)):
            g, p = np.linalg.inv(target[i]) @ target[j], np.linalg.inv(pred[i]) @ pred[j]
            found = registered[i] and registered[j]
            turn = math.degrees(angle(g[:3, :3], p[:3, :3])) if found else math.inf
            turns.append(turn)
            if np.linalg.norm(g[:3, 3]) <= 1e-6:
                continue
            direction = math.inf
            if found and (pred[i, :3, 3] != pred[j, :3, 3]).any():  # an inverse may leave rounding where nothing moves
                cosine = g[:3, 3] @ p[:3, 3] / np.linalg.norm(g[:3, 3]) / np.linalg.norm(p[:3, 3])
                direction = math.degrees(math.acos(np.clip(cosine if signed else abs(cosine), -1, 1)))
            directions.append(direction)
            both.append(max(turn, direction))

    def share(errors, k):
        return sum(error < k for error in errors) / len(errors) if errors else NAN

    curve = [share(both, k) for k in range(1, auc + 1)]
    return [share(turns, k) for k in thresholds], [share(directions, k) for k in thresholds], sum(curve) / auc
