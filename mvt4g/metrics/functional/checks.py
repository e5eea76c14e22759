"""Checks of what a metric is given: a wrong shape or range is refused by name, never broadcast or scored."""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.types import InputError, PointTruth, ViewRecord

RANGE_TOLERANCE = 1e-3
"""How far outside [0, 1] a float image may lie: resampling and codecs overshoot by rounding."""


def check_shape(name: str, tensor: Shaped[Tensor, "..."], axes: str, **sizes: int) -> dict[str, int]:
    """Check a tensor's axes and return their sizes.

    Args:
        name: The argument, for the message.
        tensor: What was given.
        axes: Names and numbers, as ``"b t 3 h w"``.
        sizes: Sizes that some of the names must have, usually those of an earlier argument.

    Raises:
        InputError: Naming the argument, the shape got and the shape wanted.
    """
    words = axes.split()
    found = dict(sizes)
    wanted = []
    for word, size in zip(words, tensor.shape, strict=False):
        wanted.append(int(word) if word.isdigit() else found.setdefault(word, size))
    if len(words) != tensor.ndim or wanted != list(tensor.shape):
        want = f"({', '.join(words)})"
        named = [f"{word}={size}" for word, size in sizes.items() if word in words]
        if named:
            want += f" with {', '.join(named)}"
        raise InputError(f"{name}: got shape {tuple(tensor.shape)}, want {want}")
    return {word: found[word] for word in words if not word.isdigit()}


def check_truth(truth: PointTruth, **sizes: int) -> None:
    """Check that the truth about query points is whole and of the sizes that what is scored has.

    Args:
        truth: Of the queries scored.
        sizes: Of the axes b, v, f and q.

    Raises:
        InputError: If a shape does not fit, or a latent frame stands for a video frame that is not there.
    """
    check_shape("truth.frame_times", truth.frame_times, "f", **sizes)
    found = check_shape("truth.visible", truth.visible, "b v t q", **sizes)
    check_shape("truth.tracks", truth.tracks, "b v t q 2", **sizes | {"t": found["t"]})
    check_shape("truth.queries", truth.queries, "b q 4", **sizes)
    check_shape("truth.valid", truth.valid, "b q", **sizes)
    if truth.dynamic is not None:
        check_shape("truth.dynamic", truth.dynamic, "b q", **sizes)
    last = int(truth.frame_times.max())
    if last >= found["t"]:
        want = f"more than {last} frames, the last that a latent frame stands for"
        raise InputError(f"truth.tracks: got shape {tuple(truth.tracks.shape)}, want {want}")


def check_view(name: str, view: ViewRecord, **sizes: int) -> None:
    """Check the shapes of what is known of a view.

    Args:
        name: Of the view, for the message.
        view: Of videos that other arguments belong to.
        sizes: Of the axes b, t, h and w.

    Raises:
        InputError: If one does not fit.
    """
    axes = {
        "video": "b t 3 h w",
        "depth": "b t h w",
        "cam_from_world": "b t 4 4",
        "intrinsics": "b t 3 3",
        "dynamic": "b t h w",
    }
    for part, wanted in axes.items():
        value = getattr(view, part)
        if value is not None:
            check_shape(f"{name}_{part}", value, wanted, **sizes)


def need(
    known: Mapping[str, Shaped[Tensor, "..."] | None],
    names: Iterable[str],
    who: str,
) -> dict[str, Shaped[Tensor, "..."]]:
    """Return the tensors of these names.

    Args:
        known: By name; None = not known.
        names: What cannot be done without.
        who: Wants them, for the message.

    Raises:
        InputError: Naming the first that is not known.
    """
    found = {}
    for name in names:
        value = known[name]
        if value is None:
            raise InputError(f"{name}: got nothing, want it for {who}")
        found[name] = value
    return found


def unit_video(name: str, video: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return pictures as fp32 in [0, 1]; uint8 is divided by 255.

    Raises:
        InputError: If values are of another type, not finite, or outside [0, 1].
    """
    if video.dtype == torch.uint8:
        return video.float() / 255
    if not video.is_floating_point():
        raise InputError(f"{name}: got {video.dtype}, want uint8 or floating point in [0, 1]")
    video = video.float()
    if video.numel():
        # One pass for both ends; NaN comes through as NaN and fails the comparison below.
        least, most = (float(value) for value in torch.aminmax(video.detach()))
        if not (least >= -RANGE_TOLERANCE and most <= 1 + RANGE_TOLERANCE):
            raise InputError(f"{name}: got values from {least:g} to {most:g}, want [0, 1]")
    return video
