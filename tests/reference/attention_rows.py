"""Slow twins of ``matching/rows.py`` and ``losses/correspondence.py``: one query, one head, one frame at a time."""

import numpy as np


def rotate(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate interleaved pairs of one feature vector."""
    turned = features.copy()
    for pair, angle in enumerate(angles):
        first, second = features[2 * pair], features[2 * pair + 1]
        turned[2 * pair] = first * np.cos(angle) - second * np.sin(angle)
        turned[2 * pair + 1] = first * np.sin(angle) + second * np.cos(angle)
    return turned


def log_row(query, key, rotary, clip, head, asked, frame_times, stride, target_view, target_frame):
    """Log-softmax (h w) of one query point over the keys of one frame; the query is at a latent frame's time.

    query, key: (b v f h w k d); rotary: (v f h w half_d), the same for all clips and heads; asked: (view, frame, x, y).
    """
    view, latent = int(asked[0]), list(frame_times).index(int(asked[1]))
    column, row = int(np.floor(asked[2] / stride)), int(np.floor(asked[3] / stride))
    height, width = key.shape[3:5]
    turned = rotate(query[clip, view, latent, row, column, head], rotary[view, latent, row, column])
    logits = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            other = rotate(key[clip, target_view, target_frame, i, j, head], rotary[target_view, target_frame, i, j])
            logits[i, j] = turned @ other / np.sqrt(key.shape[-1])
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def label_map(xy, stride, height, width, kind, sigma):
    """How a point's label is spread over (height, width) cells, cell by cell."""
    spread = np.zeros((height, width))
    if kind == "hard":
        spread[int(np.floor(xy[1] / stride)), int(np.floor(xy[0] / stride))] = 1.0
        return spread
    column, row = xy[0] / stride - 0.5, xy[1] / stride - 0.5  # cell centres lie at whole numbers
    if kind == "bilinear":
        column, row = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
        for i in range(height):
            for j in range(width):
                spread[i, j] = max(0, 1 - abs(j - column)) * max(0, 1 - abs(i - row))
        return spread
    reach = int(np.ceil(3 * sigma))
    for i in range(height):
        for j in range(width):
            near = abs(j - np.floor(column + 0.5)) <= reach and abs(i - np.floor(row + 0.5)) <= reach
            spread[i, j] = np.exp(-((j - column) ** 2 + (i - row) ** 2) / (2 * sigma**2)) if near else 0.0
    return spread / spread.sum()


def correspondence_loss(
    query, key, rotary, frame_times, stride, queries, tracks, visible, query_valid, heads=None, reduction="each",
    label="hard", sigma=1.0, own_frame=False, occluded=False, wanted=("ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref"),
    one_time_across=False, left_cell=False,
):  # fmt: skip
    """Mean cross-entropy of every clip, and by pair of views."""
    batch, views, frames, height, width, num_heads = key.shape[:6]
    heads = range(num_heads) if heads is None else heads
    totals, pairs = [], []
    for clip in range(batch):
        found = {name: [] for name in ("ref_ref", "tgt_tgt", "ref_tgt", "tgt_ref")}
        for point, asked in enumerate(queries[clip]):
            for view in range(views):
                for frame in range(frames):
                    own = int(asked[0]) == view and int(asked[1]) == frame_times[frame]
                    x, y = tracks[clip, view, frame, point]
                    inside = 0 <= x < width * stride and 0 <= y < height * stride
                    counts = visible[clip, view, frame, point] or (occluded and inside)
                    name = ("ref" if asked[0] == 0 else "tgt") + "_" + ("ref" if view == 0 else "tgt")
                    if (own and not own_frame) or not counts or not query_valid[clip, point] or name not in wanted:
                        continue
                    if one_time_across and int(asked[0]) != view and int(asked[1]) != frame_times[frame]:
                        continue
                    if left_cell and (x // stride, y // stride) == (asked[2] // stride, asked[3] // stride):
                        continue
                    spread = label_map((x, y), stride, height, width, label, sigma)
                    rows = [
                        log_row(query, key, rotary, clip, head, asked, frame_times, stride, view, frame)
                        for head in heads
                    ]
                    if reduction == "mean":
                        rows = [np.log(np.mean(np.exp(rows), axis=0))]
                    costs = [-(spread * row).sum() for row in rows]
                    found[name].append(min(costs) if reduction == "best" else np.mean(costs))
        everything = [value for values in found.values() for value in values]
        totals.append(np.mean(everything) if everything else 0.0)
        pairs.append({name: np.mean(values) if values else 0.0 for name, values in found.items()})
    return np.array(totals), pairs


def sequence_row(query, key, rotary, clip, asked, frame_times, stride, other_logits=None):
    """Softmax of one query point over the whole sequence, mean over heads: shares (v f h w) of the video's tokens.

    other_logits: by head, those of the sequence's other tokens.
    """
    view, latent = int(asked[0]), list(frame_times).index(int(asked[1]))
    column, row = int(np.floor(asked[2] / stride)), int(np.floor(asked[3] / stride))
    heads, shares = key.shape[5], np.zeros(key.shape[1:5])
    for head in range(heads):
        turned = rotate(query[clip, view, latent, row, column, head], rotary[view, latent, row, column])
        weights = np.zeros(key.shape[1:5])
        for at in np.ndindex(weights.shape):
            weights[at] = np.exp(turned @ rotate(key[(clip, *at, head)], rotary[at]) / np.sqrt(key.shape[-1]))
        others = 0.0 if other_logits is None else np.exp(other_logits[head]).sum()
        shares += weights / (weights.sum() + others) / heads
    return shares
