"""Slow twin of ``metrics/attention_correspondence.py``: one query, one frame at a time."""

import math

PANELS = {
    "ref": {(0, 0)},
    "tgt": {(1, 1)},
    "cross": {(0, 1), (1, 0)},
    "cross_ref_to_tgt": {(0, 1)},
    "cross_tgt_to_ref": {(1, 0)},
}


def mean(values):
    return sum(values) / len(values) if values else math.nan


def in_panel(pairs, query, view, time, cross_frames):
    """Whether a frame of a view is one that a query is asked about."""
    own_view, own_time = int(query[0]), query[1]
    if (own_view, view) not in pairs:
        return False
    if view == own_view:
        return time != own_time
    return cross_frames == "all" or time == own_time


def scores(matches, mass, peak, queries, tracks, visible, valid, times, stride, threshold, consistent, cross_frames):
    """Scores of every panel from arrays (b v f q ...), of one layer at one step."""
    batch, views, frames, points = visible.shape
    found = {}
    for panel, pairs in PANELS.items():
        hits, all_hits, reliable, masses, confidences = [], [], [], [], []
        for b, q in ((b, q) for b in range(batch) for q in range(points) if valid[b, q]):
            asked = [
                (b, v, f, q)
                for v in range(views)
                for f in range(frames)
                if in_panel(pairs, queries[b, q], v, times[f], cross_frames)
            ]
            seen = [at for at in asked if visible[at]]
            near = [math.dist((matches[at] + 0.5) * stride, tracks[at]) < threshold for at in seen]
            all_hits += near
            reliable += [consistent[at] for at in seen]
            hits += [hit for hit, at in zip(near, seen, strict=True) if consistent[at]]
            masses += [sum(mass[at] for at in asked)] if asked else []
            confidences += [mean([peak[at] for at in seen])] if seen else []
        found[f"{panel}/matching_accuracy"] = mean(hits)
        found[f"{panel}/attention_score"] = mean(masses)
        found[f"{panel}/confidence"] = mean(confidences)
        found[f"{panel}/reliable_share"] = mean(reliable)
        found[f"{panel}/accuracy_of_all"] = mean(all_hits)
        found[f"{panel}/num_matches"] = len(hits)
    return found
