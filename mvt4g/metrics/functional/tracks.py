"""Scores of predicted point tracks."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.matching.pairs import CountRule, Entries
from mvt4g.metrics.functional.checks import check_shape
from mvt4g.ranges import check_word
from mvt4g.types import InputError

QueryMode = Literal["first", "strided"]
COUNTED: dict[QueryMode, CountRule] = {"first": CountRule(span="from_query"), "strided": CountRule()}
TAPVID_SIZE = 256
"""TAP-Vid's pixels are those of videos resized to this many, whatever their shape."""
TAPVID_PX = (1, 2, 4, 8, 16)
TAPVID_NAMES = tuple(f"{threshold}px" for threshold in TAPVID_PX)


def pck_counts(
    pred: Float[Tensor, "*batch 2"],
    target: Float[Tensor, "*batch 2"],
    visible: Bool[Tensor, " *batch"],
    threshold_px: float | int,
) -> tuple[Int[Tensor, ""], Int[Tensor, ""]]:
    """Count visible points, and those predicted strictly within ``threshold_px`` of the truth; arguments as in ``pck``.

    Returns:
        Hits and the number of visible points.

    Raises:
        InputError: If shapes differ.
    """
    _same_shape("pred", pred, target.shape)
    _same_shape("visible", visible, target.shape[:-1])
    distance = torch.linalg.vector_norm(pred.float() - target.float(), dim=-1)
    return ((distance < threshold_px) & visible).sum(), visible.sum()


def pck(
    pred: Float[Tensor, "*batch 2"],
    target: Float[Tensor, "*batch 2"],
    visible: Bool[Tensor, " *batch"],
    threshold_px: float | int,
) -> Float[Tensor, ""]:
    """Return the share of visible points predicted strictly within ``threshold_px``, NaN when none is visible.

    Every visible point weighs the same.

    Args:
        pred: Pixels (x, y); a NaN prediction is a miss.
        target: Pixels (x, y) of the same image.
        visible: Ground truth, True = seen; other entries are not looked at.
        threshold_px: Euclidean distance in pixels.

    Raises:
        InputError: If shapes differ.

    Example:
        >>> import torch
        >>> target = torch.zeros(4, 2)
        >>> pred = torch.tensor([[0.0, 0.0], [7.99, 0.0], [8.0, 0.0], [20.0, 0.0]])
        >>> pck(pred, target, torch.tensor([True, True, True, False]), threshold_px=8.0)
        tensor(0.6667)

    Source: the strict inequality and the visible-only denominator of TAP-Vid (Doersch et al. 2022, section 3.2).
    """
    hits, total = pck_counts(pred, target, visible, threshold_px)
    return hits / total


def pck_t(
    pred: Float[Tensor, "p n 2"],
    target: Float[Tensor, "p n 2"],
    visible: Bool[Tensor, "p n"],
    image_size: tuple[int, int],
    ratio: float = 0.05,
) -> Float[Tensor, ""]:
    """Return DyCheck's percentage of correctly transferred keypoints of one video, as a share in [0, 1].

    A keypoint of one frame, carried to another, is correct strictly within ``ratio`` of the image's longer side. The
    share is taken for each pair of frames, then averaged over the pairs that have a keypoint; NaN if none has.

    Args:
        pred: Where keypoints of the first frame of every pair are carried to in the second, pixels (x, y); NaN is a
            miss. DyCheck takes all 100 ordered pairs of ten frames, those of a frame with itself too.
        target: Where they are.
        visible: Annotated in both frames of the pair.
        image_size: Height and width in pixels.
        ratio: Threshold over the longer side.

    Example:
        >>> import torch
        >>> pred = torch.tensor([[[4.9, 0.0], [5.0, 0.0]], [[0.0, 0.0], [9.0, 0.0]]])
        >>> visible = torch.tensor([[True, True], [True, False]])
        >>> pck_t(pred, torch.zeros(2, 2, 2), visible, image_size=(100, 60))
        tensor(0.7500, dtype=torch.float64)

    Source: DyCheck (Gao et al. 2022), ``compute_pck`` and the means of its keypoint-transfer task.
    """
    _same_shape("pred", pred, target.shape)
    _same_shape("visible", visible, target.shape[:-1])
    distance = torch.linalg.vector_norm(pred.double() - target.double(), dim=-1)
    correct = (distance < ratio * max(image_size)) & visible
    return (correct.sum(dim=1) / visible.sum(dim=1).double()).nanmean()


def share_in_mask(
    tracks: Float[Tensor, "t n 2"],
    visible: Bool[Tensor, "t n"],
    queries: Float[Tensor, "n 4"],
    mask: Bool[Tensor, "t h w"],
) -> Float[Tensor, ""]:
    """Return the share of positions inside a mask, of points queried inside of it; NaN without such a position.

    Args:
        tracks: Pixels (x, y) of one view.
        visible: Positions that count.
        queries: (view, frame, x, y), pixels of the same view.
        mask: True inside; between pixel centres it is read bilinearly, and more than a half is inside.
    """
    # Between pixel centres a mask is a share; more than a half is inside.
    inside = rearrange(mask.float(), "t h w -> t 1 h w")
    stays = bilinear_sample(inside, tracks)[..., 0] > 0.5
    query_frames = inside[queries[:, 1].long()]
    query_xy = rearrange(queries[:, 2:], "n xy -> n 1 xy")
    start = bilinear_sample(query_frames, query_xy)[:, 0, 0] > 0.5
    return stays[visible & start].double().mean()


class TrackCounts(NamedTuple):
    """What TAP-Vid counts, one entry a track; ``x`` are its thresholds.

    Attributes:
        scored: Frames that count.
        agreed: Of these, those whose visibility is predicted right.
        seen: Of these, those where the point is visible.
        called_seen: Of these, those where it is predicted visible.
        within: Of the seen, those predicted within each threshold.
        true_positive: Of these, those predicted visible.
    """

    scored: Int[Tensor, "*b n"]
    agreed: Int[Tensor, "*b n"]
    seen: Int[Tensor, "*b n"]
    called_seen: Int[Tensor, "*b n"]
    within: Int[Tensor, "*b n x"]
    true_positive: Int[Tensor, "*b n x"]


def scored_frames(
    query_frames: Float[Tensor, "*b n"],
    same_view: Bool[Tensor, "*b n"],
    num_frames: int,
    query_mode: QueryMode,
) -> Bool[Tensor, "*b t n"]:
    """Return the frames that TAP-Vid scores: those after the query ("first"), or all but the query's ("strided").

    A query from another view (``same_view`` False) gives nothing away about its own frame here, which is scored too.

    Raises:
        InputError: If the mode is neither.
    """
    check_word("query_mode", query_mode, QueryMode)
    frame = torch.arange(num_frames, device=query_frames.device)[:, None]
    query = query_frames.round().unsqueeze(-2)
    entries = Entries(same_view.unsqueeze(-2), frame == query, frame > query)
    return entries.counted(COUNTED[query_mode])


def count_tracks(
    is_within: Callable[[int], Bool[Tensor, "*b t n"]],
    num_thresholds: int,
    visible: Bool[Tensor, "*b t n"],
    pred_visible: Bool[Tensor, "*b t n"],
    scored: Bool[Tensor, "*b t n"],
) -> TrackCounts:
    """Count what TAP-Vid needs of every track.

    Args:
        is_within: Gives where predictions lie strictly within threshold number i of the truth.
        num_thresholds: How many thresholds there are.
        visible: Ground truth.
        pred_visible: Prediction.
        scored: Frames that count.
    """
    seen = visible & scored
    found = seen & pred_visible
    within = []
    true_positive = []
    # One threshold at a time: all together would be five times the memory of the tracks.
    for number in range(num_thresholds):
        near = is_within(number)
        within.append((near & seen).sum(dim=-2))
        true_positive.append((near & found).sum(dim=-2))
    return TrackCounts(
        scored=scored.sum(dim=-2),
        agreed=((visible == pred_visible) & scored).sum(dim=-2),
        seen=seen.sum(dim=-2),
        called_seen=(pred_visible & scored).sum(dim=-2),
        within=torch.stack(within, dim=-1),
        true_positive=torch.stack(true_positive, dim=-1),
    )


def track_scores(
    counts: TrackCounts, chosen: Bool[Tensor, "*b n"], names: Sequence[str]
) -> dict[str, Float[Tensor, " *b"]]:
    """Return TAP-Vid's scores of the chosen tracks, pooled; float64.

    A share over nothing is NaN. Its denominator is nothing at all thresholds or at none (visible frames; for Jaccard,
    those and the frames called visible), so that a mean over thresholds never mixes NaN with numbers.

    Args:
        counts: Of every track.
        chosen: Tracks to pool.
        names: What the thresholds are called in the keys.
    """
    scored, agreed, seen, called_seen = ((value * chosen).sum(dim=-1).double() for value in counts[:4])
    within, true_positive = ((value * chosen[..., None]).sum(dim=-2).double() for value in counts[4:])
    delta = within / seen[..., None]
    # Called visible but occluded or too far: every call that is not a true positive.
    false_positive = called_seen[..., None] - true_positive
    jaccard = true_positive / (seen[..., None] + false_positive)
    means = {
        "occlusion_accuracy": agreed / scored,
        "delta_avg": delta.mean(dim=-1),
        "average_jaccard": jaccard.mean(dim=-1),
    }
    scores = dict(means)
    for number, name in enumerate(names):
        scores[f"delta_{name}"] = delta[..., number]
    for number, name in enumerate(names):
        scores[f"jaccard_{name}"] = jaccard[..., number]
    return scores


def tapvid_counts(
    queries: Float[Tensor, "*b n 3"],
    target: Float[Tensor, "*b t n 2"],
    target_visible: Bool[Tensor, "*b t n"],
    pred: Float[Tensor, "*b t n 2"],
    pred_visible: Bool[Tensor, "*b t n"],
    image_size: tuple[int, int],
    query_mode: QueryMode,
    same_view: Bool[Tensor, "*b n"],
) -> TrackCounts:
    """Count what TAP-Vid needs of every track; arguments as in ``tapvid``."""
    _same_shape("target_visible", target_visible, target.shape[:-1])
    _same_shape("pred", pred, target.shape)
    _same_shape("pred_visible", pred_visible, target.shape[:-1])
    _same_shape("queries", queries, (*target.shape[:-3], target.shape[-2], 3))
    _same_shape("same_view", same_view, queries.shape[:-1])
    height, width = image_size
    if not (height > 0 and width > 0):
        raise InputError(f"image_size: got {image_size}, want (height, width), both positive")
    # Distances in float64: TAP-Vid's thresholds are strict, and fp32 would move points across them.
    scale = torch.tensor([TAPVID_SIZE / width, TAPVID_SIZE / height], dtype=torch.float64, device=pred.device)
    squared = ((pred.double() - target.double()) * scale).square()
    squared = squared[..., 0] + squared[..., 1]
    return count_tracks(
        lambda number: squared < TAPVID_PX[number] ** 2,
        len(TAPVID_PX),
        target_visible,
        pred_visible,
        scored_frames(queries[..., 0], same_view, target.shape[-3], query_mode),
    )


def tapvid(
    queries: Float[Tensor, "n 3"],
    target: Float[Tensor, "t n 2"],
    target_visible: Bool[Tensor, "t n"],
    pred: Float[Tensor, "t n 2"],
    pred_visible: Bool[Tensor, "t n"],
    image_size: tuple[int, int],
    query_mode: QueryMode = "first",
    same_view: Bool[Tensor, " n"] | bool = True,
) -> dict[str, Float[Tensor, ""]]:
    """Score the tracks of one video as TAP-Vid does.

    Scores are in [0, 1], higher is better: accuracy of the visibility, share of visible points strictly within 1, 2,
    4, 8 and 16 pixels, and Jaccard at these, of the video resized to 256 x 256. A benchmark's figure is the mean over
    videos. Distances are float64. TAP-Vid's raster coordinates are this package's pixels: the image runs from 0 to
    its size, so that resizing is a pure scale.

    Args:
        queries: (frame, x, y); only the frame is looked at.
        target: Pixels (x, y); what an occluded entry holds does not matter.
        target_visible: Ground truth.
        pred: As ``target``; NaN is a miss.
        pred_visible: Prediction.
        image_size: Height and width in pixels of the video that the tracks belong to.
        query_mode: "first" scores frames after the query's, "strided" all but the query's.
        same_view: False where the query is in another view than these tracks: its own frame is then scored too.

    Returns:
        ``occlusion_accuracy``, ``delta_avg``, ``average_jaccard``, and both shares at each threshold, as
        ``delta_4px`` and ``jaccard_4px``. NaN where nothing is scored.

    Raises:
        InputError: If shapes do not fit, a query's frame is not in the video, or the size or the mode is none.

    Example:
        >>> import torch
        >>> target = torch.zeros(5, 1, 2)
        >>> visible = torch.tensor([[True], [True], [True], [True], [False]])
        >>> pred = target.clone()
        >>> pred[2, 0, 0] = 3.0
        >>> called_visible = torch.tensor([[True], [True], [True], [False], [True]])
        >>> scores = tapvid(torch.tensor([[1.0, 0.0, 0.0]]), target, visible, pred, called_visible, (256, 256))
        >>> {key: round(float(value), 3) for key, value in scores.items() if "px" not in key}
        {'occlusion_accuracy': 0.333, 'delta_avg': 0.8, 'average_jaccard': 0.2}

    Source: Doersch et al., TAP-Vid (arXiv 2211.03726), section 3.2, and tapnet's ``compute_tapvid_metrics`` since 2023.
    """
    sizes = check_shape("target", target, "t n 2")
    check_shape("queries", queries, "n 3", n=sizes["n"])
    same = torch.as_tensor(same_view, device=queries.device).expand(queries.shape[:-1])
    check_query_frames(queries[:, 0], sizes["t"], torch.ones_like(same))
    counts = tapvid_counts(queries, target, target_visible, pred, pred_visible, image_size, query_mode, same)
    return track_scores(counts, torch.ones_like(same), TAPVID_NAMES)


def check_query_frames(
    query_frames: Float[Tensor, "*b n"],
    num_frames: int,
    valid: Bool[Tensor, "*b n"],
) -> None:
    """Check that every valid query lies in the video: one before it would have every frame scored.

    Raises:
        InputError: If one does not.
    """
    outside = valid & ~((query_frames.round() >= 0) & (query_frames.round() < num_frames))
    if outside.any():
        raise InputError(f"queries: got frame {float(query_frames[outside][0]):g}, want 0 to {num_frames - 1}")


def _same_shape(name: str, tensor: Shaped[Tensor, "..."], shape: Sequence[int]) -> None:
    if tensor.shape != torch.Size(shape):
        raise InputError(f"{name}: got shape {tuple(tensor.shape)}, want {tuple(shape)}")
