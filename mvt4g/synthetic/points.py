"""Which pixels the tracked points are drawn from: budgets by object and by motion."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mvt4g.synthetic.point_spec import PointSpec

KUBRIC_SHARE = 0.1
"""Of a segment's candidates, at most this many are taken."""
MOVING_POOL = 2
"""Points of moving bodies, for each point wanted, to choose from by motion: many are seen too shortly to go far."""
STILL = 0.01
MOVING = 0.1
FAR = 2.0
"""Lengths of the path on which a point is seen, scene units: below the first it rests, above the others it moves."""


def draw_pixels(
    rng: np.random.Generator,
    instances: Int[ndarray, "v t h w"],
    dynamic: Bool[ndarray, " i"],
    spec: PointSpec,
) -> Int[ndarray, " m"]:
    """Draw flat indices into ``instances``, without repetition: the points, or for ``"motion"`` those to choose from.

    Args:
        rng: Source of all draws.
        instances: 0 = background.
        dynamic: Whether instance 1, 2, ... moves; only ``"motion"`` asks.
        spec: Of the points.
    """
    if spec.budget == "equal":
        return _draw_equal(rng, instances, spec)
    candidates = draw_grid(rng, instances.shape, spec.grid_stride)
    ids = instances.reshape(-1)[candidates]
    if spec.foreground_only:
        candidates = candidates[ids > 0]
        ids = ids[ids > 0]
    if spec.budget == "kubric":
        return _draw_segments(rng, candidates, ids, spec.count, KUBRIC_SHARE)
    moving = np.concatenate([[False], dynamic])[ids]
    on_moving = _draw_segments(rng, candidates[moving], ids[moving], MOVING_POOL * spec.count, 1.0)
    on_still = _draw_segments(rng, candidates[~moving], ids[~moving], spec.count, 1.0)
    return np.concatenate([on_moving, on_still])


def draw_grid(rng: np.random.Generator, shape: tuple[int, int, int, int], stride: int) -> Int[ndarray, " m"]:
    """Return flat indices of every ``stride``-th frame, row and column of every view.

    Each view starts from a random phase of its own; an axis shorter than the stride still gives one.
    """
    views, frames, height, width = shape
    flat = np.arange(views * frames * height * width).reshape(shape)
    phases = rng.integers(0, np.minimum(stride, (frames, height, width)), (views, 3))
    grids = []
    for view, (time, row, column) in enumerate(phases.tolist()):
        grids.append(flat[view, time::stride, row::stride, column::stride].reshape(-1))
    return np.concatenate(grids)


def kubric_budget(counts: Int[ndarray, " s"], total: int, share: float | int = KUBRIC_SHARE) -> Int[ndarray, " s"]:
    """Share ``total`` out over segments that have so many candidates each.

    From the fewest candidates to the most, each segment takes an equal part of what is left, but at most ``share`` of
    its candidates: small objects go short and large ones make up for them.

    Source: kubric, challenges/point_tracking/dataset.py (the rule; not its code).
    """
    taken = np.zeros_like(counts)
    left = total
    for done, segment in enumerate(np.argsort(counts, kind="stable")):
        equal_part = round(left / (len(counts) - done))
        taken[segment] = min(equal_part, round(share * int(counts[segment])))
        left -= int(taken[segment])
    return taken


def choose_by_motion(rng: np.random.Generator, length: Float[ndarray, " n"], count: int) -> Int[ndarray, " m"]:
    """Choose at most ``count`` points: a quarter that move far, half that move, the rest at rest.

    A class that runs short leaves its share to the next one of (far, moving, resting, any): fewer than ``count`` come
    back only where there are fewer points.

    Args:
        rng: Source of the draws.
        length: Of the path on which each point is seen, scene units (``seen_path_length``).
        count: Points wanted.

    Source: MVTracker's training mix (path lengths above 0.1, above 2.0 and below 0.01).
    """
    order = rng.permutation(len(length))
    chosen: list[int] = []
    free = np.ones(len(length), dtype=bool)
    far = round(count / 4)
    moving = round(count / 2)
    # (least length, most, how many are chosen in all once this class is done)
    goals = ((FAR, np.inf, far), (MOVING, np.inf, far + moving), (0.0, STILL, count), (0.0, np.inf, count))
    for least, most, goal in goals:
        wanted = np.flatnonzero(free[order] & (least <= length[order]) & (length[order] < most))
        taken = order[wanted[: goal - len(chosen)]]
        free[taken] = False
        chosen.extend(taken.tolist())
    return np.array(chosen, dtype=np.int64)


def seen_path_length(points_world: Float[ndarray, "t n 3"], visible: Bool[ndarray, "v t n"]) -> Float[ndarray, " n"]:
    """Return how far each point goes between frames at both of which some view sees it, scene units."""
    seen = np.logical_or.reduce(visible, axis=0)
    steps = np.linalg.norm(np.diff(points_world, axis=0), axis=-1)
    return (steps * (seen[1:] & seen[:-1])).sum(axis=0)


def _draw_equal(rng: np.random.Generator, instances: Int[ndarray, "v t h w"], spec: PointSpec) -> Int[ndarray, " m"]:
    """Give objects equal parts of the foreground's share.

    One that shows too few pixels leaves the rest to the others, all of them together to the background.
    """
    flat = instances.reshape(-1)
    # pixels[i] are the flat indices of instance i, found by one sort.
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(flat.max() + 2))
    pixels = np.split(order, starts[1:-1])
    # Those that show least come first, so that what they leave is shared out among the rest.
    objects = sorted(filter(len, pixels[1:]), key=len)
    ground = pixels[0][:0] if spec.foreground_only else pixels[0]
    left = round(spec.count * spec.foreground) if len(ground) else spec.count
    chosen = []
    for number, group in enumerate(objects):
        take = min(len(group), round(left / (len(objects) - number)))
        chosen.append(rng.choice(group, take, replace=False))
        left -= take
    background = min(len(ground), spec.count - sum(map(len, chosen)))
    chosen.append(rng.choice(ground, background, replace=False))
    return np.concatenate(chosen)


def _draw_segments(
    rng: np.random.Generator,
    candidates: Int[ndarray, " n"],
    ids: Int[ndarray, " n"],
    total: int,
    share: float | int,
) -> Int[ndarray, " m"]:
    """Draw from every segment what its budget gives, in the order of the ids."""
    order = np.argsort(ids, kind="stable")
    _, starts, counts = np.unique(ids[order], return_index=True, return_counts=True)
    taken = kubric_budget(counts, total, share)
    parts = [candidates[:0]]  # so that no segment at all gives no index, of the right type
    for first, count, take in zip(starts, counts, taken, strict=True):
        group = candidates[order[first : first + count]]
        parts.append(rng.choice(group, take, replace=False))
    return np.concatenate(parts)
