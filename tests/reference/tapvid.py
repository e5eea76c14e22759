"""Slow twins of TAP-Vid, TAPVid-3D and DyCheck's PCK-T, from their definitions: one point, one frame at a time."""

import math

import numpy as np

PIXELS = (1, 2, 4, 8, 16)
CENTIMETRES = (1, 4, 16, 64, 256)


def ratio(part, whole):
    return part / whole if whole else math.nan


def average(values):
    return math.nan if any(map(math.isnan, values)) else sum(values) / len(values)


def pooled(entries, names):
    """Scores of entries (visible, called visible, [within threshold ...]), one a scored point and frame."""
    seen = sum(visible for visible, _, _ in entries)
    scores = {"occlusion_accuracy": ratio(sum(visible == called for visible, called, _ in entries), len(entries))}
    for number, name in enumerate(names):
        correct = true_positives = false_positives = 0
        for visible, called, within in entries:
            correct += visible and within[number]
            true_positives += visible and called and within[number]
            false_positives += called and (not visible or not within[number])
        scores[f"delta_{name}"] = ratio(correct, seen)
        scores[f"jaccard_{name}"] = ratio(true_positives, seen + false_positives)
    scores["delta_avg"] = average([scores[f"delta_{name}"] for name in names])
    scores["average_jaccard"] = average([scores[f"jaccard_{name}"] for name in names])
    return scores


def is_scored(frame, query_frame, query_mode, same_view):
    if query_mode == "first":
        return frame > query_frame if same_view else frame >= query_frame
    return frame != query_frame if same_view else True


def tapvid(queries, target, target_visible, pred, pred_visible, image_size, query_mode, same_view):
    """TAP-Vid's scores of one video; arrays as the package's ``tapvid`` takes tensors."""
    height, width = image_size
    entries = []
    for point in range(target.shape[1]):
        for frame in range(target.shape[0]):
            if is_scored(frame, int(queries[point, 0]), query_mode, bool(same_view[point])):
                dx = (float(pred[frame, point, 0]) - float(target[frame, point, 0])) * (256 / width)
                dy = (float(pred[frame, point, 1]) - float(target[frame, point, 1])) * (256 / height)
                within = [dx * dx + dy * dy < pixels**2 for pixels in PIXELS]
                entries.append((bool(target_visible[frame, point]), bool(pred_visible[frame, point]), within))
    return pooled(entries, [f"{pixels}px" for pixels in PIXELS])


def tapvid_3d(target, target_visible, pred, pred_visible, focal_xy, thresholds, scaling, query_frames):
    """TAPVid-3D's scores of one video."""
    frames, points = target.shape[:2]
    everywhere = [(frame, point) for frame in range(frames) for point in range(points)]
    both = [at for at in everywhere if target_visible[at] and pred_visible[at]]
    scale = np.ones(points)
    if scaling == "median":
        true_norms = [math.sqrt(sum(float(value) ** 2 for value in target[at])) for at in both]
        norms = [math.sqrt(sum(float(value) ** 2 for value in pred[at])) for at in both]
        scale[:] = np.median(true_norms) / np.median(norms) if both else math.nan
    elif scaling == "per_trajectory":
        for point in range(points):
            frame = int(query_frames[point])
            scale[point] = max(target[frame, point, 2], 1e-12) / max(pred[frame, point, 2], 1e-12)
    entries = []
    for frame, point in everywhere:
        squared = sum(
            (float(p) * scale[point] - float(g)) ** 2
            for p, g in zip(pred[frame, point], target[frame, point], strict=True)
        )
        if thresholds == "fixed":
            radii = [centimetres / 100 for centimetres in CENTIMETRES]
        else:
            radii = [
                pixels * float(target[frame, point, 2]) / math.sqrt(focal_xy[0] * focal_xy[1]) for pixels in PIXELS
            ]
        within = [squared < radius**2 for radius in radii]
        entries.append((bool(target_visible[frame, point]), bool(pred_visible[frame, point]), within))
    names = [f"{cm}cm" for cm in CENTIMETRES] if thresholds == "fixed" else [f"{pixels}px" for pixels in PIXELS]
    return pooled(entries, names)


def pck_t(pred, target, visible, image_size, alpha):
    """Mean over pairs of frames of the share of common keypoints that land within alpha of the longer side."""
    shares = []
    for pair in range(len(pred)):
        hits = [
            math.hypot(*(pred[pair, point] - target[pair, point])) < alpha * max(image_size)
            for point in range(pred.shape[1])
            if visible[pair, point]
        ]
        if hits:
            shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares) if shares else math.nan
