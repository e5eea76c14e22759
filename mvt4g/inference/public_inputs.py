"""What users hand to ``mvt4g.inference``, checked, and brought to a batch of one clip on the model's device."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.types import Cameras, InputError, LatentGrid, MultiViewClip

VIEWS = 2


def batch_of_one(
    videos: Sequence[Shaped[Tensor, "..."]],
    cameras: Cameras,
    name: str,
    grid: LatentGrid | None,
    device: torch.device | str,
) -> MultiViewClip:
    """Return a batch of one clip.

    Args:
        videos: The reference's, and the target's where it is given, each (t 3 h w) in [0, 1].
        cameras: (2 t), one a view and frame.
        name: Of the clip.
        grid: Says which numbers of frames the codec takes; None = any number is taken.
        device: Where the clip goes.

    Raises:
        InputError: If a video is of another shape, kind or range, the videos differ in size, the cameras are not those
            of two views of so many frames, or the codec takes no such number of frames.
    """
    arguments = ("video",) if len(videos) == 1 else ("reference", "target")
    for video, argument in zip(videos, arguments, strict=True):
        _check_video(video, argument)
    sizes = [tuple(video.shape) for video in videos]
    if len(set(sizes)) > 1:
        raise InputError(f"target: got {sizes[1]} (t 3 h w), want the reference's {sizes[0]}")
    num_frames = len(videos[0])
    if grid is not None:
        grid.latent_frames(num_frames)
    _check_cameras(cameras, num_frames)
    batch = torch.stack([video.float() for video in videos])[None]
    poses = cameras.cam_from_world.float()
    cameras = Cameras(poses, cameras.intrinsics.float())[None]
    return MultiViewClip(video=batch.to(device), cameras=cameras.to(device), name=(name,))


def check_depth(
    depth: Float[Tensor, "t h w"],
    clip: MultiViewClip,
) -> Float[Tensor, "1 1 t h w"]:
    """Return the depth of a reference as that of a batch of one view, on the clip's device.

    Raises:
        InputError: If it is of another shape than the video.
    """
    frames = clip.video.shape[2]
    wanted = (frames, *clip.video.shape[-2:])
    if not isinstance(depth, Tensor) or tuple(depth.shape) != wanted:
        raise InputError(f"depth: got {_told(depth)}, want {wanted} (t h w) as the video has")
    return depth[None, None].float().to(clip.video.device)


def check_queries(
    queries: Float[Tensor, "q 4"],
    clip: MultiViewClip,
) -> Float[Tensor, "1 q 4"]:
    """Return query points with a batch axis, on the clip's device.

    Raises:
        InputError: If they are none, of another shape, not finite, or of a view or frame that is not there.
    """
    if not isinstance(queries, Tensor) or queries.ndim != 2 or queries.shape[1] != 4:
        raise InputError(f"queries: got {_told(queries)}, want a tensor (q 4) of (view, frame, x, y)")
    if not queries.isfinite().all():
        raise InputError("queries: got values that are not finite, want numbers")
    asked = queries[None].float().to(clip.video.device)
    check_moments(asked, VIEWS, clip.video.shape[2])
    return asked


def check_moments(
    queries: Float[Tensor, "b q 4"],
    num_views: int,
    num_frames: int,
) -> None:
    """Refuse queries that no view or frame answers; a position may lie outside the image.

    Raises:
        InputError: If there is no query, or one of a view or frame that is not there.
    """
    if not queries.shape[1]:
        raise InputError("queries: got none, want at least one (view, frame, x, y)")
    moments = queries[..., :2]
    last = moments.new_tensor([num_views - 1, num_frames - 1])
    # Between two frames there is no picture to point into: both numbers are whole.
    in_range = (moments >= 0) & (moments <= last)
    there = (in_range & (moments == moments.round())).all(dim=-1)
    if not there.all():
        clip, query = (~there).nonzero()[0].tolist()
        view, frame = moments[clip, query].tolist()
        want = f"whole numbers, view 0 to {num_views - 1} and frame 0 to {num_frames - 1}"
        got = f"view {view:g} and frame {frame:g} (clip {clip}, query {query})"
        raise InputError(f"queries: got {got}, want {want}")


def _check_video(video: Shaped[Tensor, "..."], argument: str) -> None:
    if not isinstance(video, Tensor) or video.ndim != 4 or video.shape[1] != 3 or not video.numel():
        raise InputError(f"{argument}: got {_told(video)}, want a video (t 3 h w)")
    if not video.is_floating_point():
        raise InputError(f"{argument}: got {video.dtype}, want floating-point values in [0, 1]")
    low, high = map(float, video.aminmax())
    # Not the other way round: NaN is refused too.
    if not (low >= 0 and high <= 1):
        raise InputError(f"{argument}: got values from {low:g} to {high:g}, want [0, 1]")


def _check_cameras(cameras: Cameras, num_frames: int) -> None:
    if not isinstance(cameras, Cameras):
        raise InputError(f"cameras: got {type(cameras).__name__}, want mvt4g.types.Cameras of (2 t)")
    for name, side in (("cam_from_world", 4), ("intrinsics", 3)):
        matrices = getattr(cameras, name)
        want = (VIEWS, num_frames, side, side)
        if not isinstance(matrices, Tensor) or tuple(matrices.shape) != want:
            raise InputError(f"cameras.{name}: got {_told(matrices)}, want {want}: two views, one a frame")
        if not matrices.isfinite().all():
            raise InputError(f"cameras.{name}: got values that are not finite, want numbers")


def _told(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
