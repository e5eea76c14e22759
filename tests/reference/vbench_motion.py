"""Slow twins of VBench's motion dimensions, from the definitions, on bytes and with loops."""

import numpy as np


def flickering(frames: list[np.ndarray], valid: list[bool]) -> float:
    """(255 - mean over pairs of mean |difference|) / 255."""
    changes = []
    for t in range(len(frames) - 1):
        if valid[t] and valid[t + 1]:
            changes.append(np.abs(frames[t].astype(np.float64) - frames[t + 1].astype(np.float64)).mean())
    return (255 - sum(changes) / len(changes)) / 255 if changes else float("nan")


def smoothness(frames: list[np.ndarray], valid: list[bool], interpolate) -> float:
    """The same of dropped odd frames and what ``interpolate`` makes of their neighbours."""
    errors = []
    t = 1
    while t + 1 < len(frames):
        if valid[t - 1] and valid[t] and valid[t + 1]:
            between = interpolate(frames[t - 1].astype(np.float64), frames[t + 1].astype(np.float64))
            errors.append(np.abs(between - frames[t].astype(np.float64)).mean())
        t += 2
    return (255 - sum(errors) / len(errors)) / 255 if errors else float("nan")


def top_flow(flow: np.ndarray) -> float:
    """Mean length of the longest 5 % of the vectors of (2, h, w), at least one."""
    lengths = sorted((float(np.hypot(x, y)) for x, y in zip(flow[0].ravel(), flow[1].ravel(), strict=True)))
    kept = lengths[-max(1, int(len(lengths) * 0.05)) :]
    return sum(kept) / len(kept)


def vbench_is_dynamic(magnitudes: list[float], num_frames: int, shorter_side: int) -> bool:
    """VBench's decision, ties to even and all: it counts up and stops at the first pair that makes enough."""
    needed = round(4 * (num_frames / 16.0))
    count = 0
    for magnitude in magnitudes:
        if magnitude > 6.0 * (shorter_side / 256.0):
            count += 1
        if count >= needed:
            return True
    return False
