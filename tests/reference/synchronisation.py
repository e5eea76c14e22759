"""Matches, their epipolar distance and their best offset in time: one cell, one pixel, one frame at a time."""

import math

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = math.sqrt(a @ a) * math.sqrt(b @ b)
    return float(a @ b) / length if length else 0.0


def mutual_matches(features: np.ndarray, reference: np.ndarray, min_similarity: float) -> list[tuple]:
    """Maps (h w d) and (h2 w2 d); a list of (row, column), (row, column) there and their cosine."""

    def nearest(feature, cells):
        return max(np.ndindex(cells.shape[:2]), key=lambda cell: cosine(feature, cells[cell]))

    matches = []
    for cell in np.ndindex(features.shape[:2]):
        there = nearest(features[cell], reference)
        similarity = cosine(features[cell], reference[there])
        if similarity >= min_similarity and nearest(reference[there], features) == cell:
            matches.append((cell, there, similarity))
    return matches


def sampson(pixel_a, pixel_b, intrinsics_a, intrinsics_b, b_from_a) -> float:
    """Sampson's distance by the fundamental matrix."""
    x, y, z = b_from_a[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    fundamental = np.linalg.inv(intrinsics_b).T @ cross @ b_from_a[:3, :3] @ np.linalg.inv(intrinsics_a)
    a, b = np.array([*pixel_a, 1.0]), np.array([*pixel_b, 1.0])
    line_b, line_a = fundamental @ a, fundamental.T @ b
    return abs(b @ line_b) / math.sqrt(line_b[0] ** 2 + line_b[1] ** 2 + line_a[0] ** 2 + line_a[1] ** 2)


def scores(features: np.ndarray, reference: np.ndarray, min_similarity: float, max_offset: int) -> dict[str, float]:
    """Maps (t h w d) of two videos."""
    frames, height, width, _ = features.shape
    shares, offsets, undecided = [], [], 0
    for t in range(frames):
        strengths = {}
        for other in range(t - max_offset, t + max_offset + 1):
            if 0 <= other < frames:
                matches = mutual_matches(features[t], reference[other], min_similarity)
                strengths[other - t] = sum(similarity for *_, similarity in matches) / (height * width)
                if other == t:
                    shares.append(len(matches) / (height * width))
        best = max(strengths.values())
        winners = [offset for offset, strength in strengths.items() if strength > best - 1e-5]
        if len(winners) == 1 and len(strengths) > 1:
            offsets.append(winners[0])
        else:
            undecided += 1
    return {
        "matched_share": float(np.mean(shares)),
        "synchronised_share": float(np.mean([offset == 0 for offset in offsets])) if offsets else math.nan,
        "offset_frames": float(np.mean(np.abs(offsets))) if offsets else math.nan,
        "num_undecided_frames": undecided,
    }
