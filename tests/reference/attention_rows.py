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


def correspondence_loss(query, key, rotary, frame_times, stride, queries, tracks, visible, query_valid):
    """Mean negative log-likelihood of every clip, and by pair of views."""
    batch, views, frames = key.shape[:3]
    totals, pairs = [], []
    for clip in range(batch):
        found = {"ref_ref": [], "tgt_tgt": [], "ref_tgt": [], "tgt_ref": []}
        for point, asked in enumerate(queries[clip]):
            for view in range(views):
                for frame in range(frames):
                    own = int(asked[0]) == view and int(asked[1]) == frame_times[frame]
                    if own or not visible[clip, view, frame, point] or not query_valid[clip, point]:
                        continue
                    x, y = tracks[clip, view, frame, point]
                    cell = int(np.floor(y / stride)), int(np.floor(x / stride))
                    over_heads = [
                        -log_row(query, key, rotary, clip, head, asked, frame_times, stride, view, frame)[cell]
                        for head in range(key.shape[5])
                    ]
                    name = ("ref" if asked[0] == 0 else "tgt") + "_" + ("ref" if view == 0 else "tgt")
                    found[name].append(np.mean(over_heads))
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
