"""VBench's consistency in plain Python, from the formula."""

import math


def cosine(a, b) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def frame_scores(features) -> list[float]:
    """Return s_1 ... s_{T-1} of one video's features, a list of vectors."""
    return [
        (max(0.0, cosine(features[i], features[i - 1])) + max(0.0, cosine(features[i], features[0]))) / 2
        for i in range(1, len(features))
    ]


def by_video(videos) -> float:
    means = [sum(scores) / len(scores) for scores in map(frame_scores, videos) if scores]
    return sum(means) / len(means)


def by_frame(videos) -> float:
    scores = [score for video in videos for score in frame_scores(video)]
    return sum(scores) / len(scores)
