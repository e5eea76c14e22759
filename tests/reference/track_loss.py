"""Slow twin of ``losses/track.py``: one iteration, view, frame and point at a time."""

import math


def _log_loss(logit: float, target: bool) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if target else 1 - probability)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def track_loss(tracks, visible_logit, confidence_logit, target, visible, valid, width):
    """Return (position, occluded position, visibility, confidence), weighted, of one clip: arrays (i v f q ...)."""
    iterations, views, frames, points = tracks.shape[:4]
    terms = [0.0, 0.0, 0.0, 0.0]
    for i in range(iterations):
        seen, hidden, visibility, confidence = [], [], [], []
        for v in range(views):
            for f in range(frames):
                for q in range(points):
                    if not valid[q]:
                        continue
                    visibility.append(_log_loss(visible_logit[i, v, f, q], visible[v, f, q]))
                    errors = [abs(tracks[i, v, f, q, c] - target[v, f, q, c]) * 512 / width for c in range(2)]
                    if visible[v, f, q]:
                        seen.append(_mean([0.5 * e**2 if e <= 6 else 6 * (e - 3) for e in errors]))
                        confidence.append(_log_loss(confidence_logit[i, v, f, q], math.hypot(*errors) < 12))
                    else:
                        confidence.append(0.0)
                        hidden.append(_mean(errors))
        discount = 0.8 ** (iterations - 1 - i) / iterations
        terms[0] += 0.05 * discount * _mean(seen)
        terms[1] += 0.01 * discount * _mean(hidden)
        terms[2] += _mean(visibility) / iterations
        terms[3] += _mean(confidence) / iterations
    return terms
