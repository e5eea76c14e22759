"""``scene4d.npz``: a reference and a generated view lifted into one scene, a depth map a frame, with tracks through it.

    version                         1
    times_s (t)                     when a frame is shown, seconds from the first
    unit                            of depth and poses: "metres", or "unknown" for those of no known scale
    alignment (v 2)                 scale a and shift b with which the depth of view v was lifted: 1/depth = a/given + b
    alignment_residual (v)          median relative error of 1/depth after it; NaN where nothing was aligned
    of each <view> in reference, generated:
    <view>_video (t h w 3)          uint8; the views may have different h and w
    <view>_depth (t h w)            float32 z-depth of pixel centres, after the alignment; 0 = none
    <view>_intrinsics (t 3 3)       K, pixels of the view's video
    <view>_cam_from_world (t 4 4)   one world for both views
    <view>_confidence (t h w)       0 = none, higher is better, of no fixed unit; perhaps
    <view>_true_cam_from_world      (t 4 4) the true camera, or the one asked for, beside an estimated one; perhaps
    all four, if points were tracked (v = 2: reference, generated):
    tracks_px (v t n 2)             pixels (x, y) of the view's video
    tracks_world (v t n 3)          as lifted from the view's own depth; NaN = none
    visible (v t n)                 where the point is said to be seen
    track_lifted (v t n)            True = from the depth map; False where tracks_world is NaN, or linear between seen
    all three, if true tracks are known (of other points than those above):
    true_tracks_px (v t m 2), true_visible (v t m), true_points_world (t m 3)

What a file says badly is made what it means: depth and confidence that are not finite or negative are 0, none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from mvt4g.formats.npz import read_arrays, write_arrays
from mvt4g.formats.parsing.array_headers import ArrayHeader
from mvt4g.geometry.pose import check_poses
from mvt4g.tensor_fields import TensorFields
from mvt4g.types import Cameras, InputError

VERSION = 1
VIEWS = ("reference", "generated")
"""Names in the file, in the order of the axis v."""
METRES = "metres"
UNKNOWN = "unknown"
"""Values of ``unit`` are these two."""
_VIEW_LAYOUT = {
    "video": ("t h w 3", "u"),
    "depth": ("t h w", "f"),
    "intrinsics": ("t 3 3", "f"),
    "cam_from_world": ("t 4 4", "f"),
    "confidence": ("t h w", "f"),
    "true_cam_from_world": ("t 4 4", "f"),
}
_SCENE_LAYOUT = {
    "version": ("", "iu"),
    "unit": ("", "U"),
    "times_s": ("t", "f"),
    "alignment": ("2 2", "f"),
    "alignment_residual": ("2", "f"),
}
_TRACK_LAYOUT = {
    "tracks_px": ("2 t n 2", "f"),
    "tracks_world": ("2 t n 3", "f"),
    "visible": ("2 t n", "b"),
    "track_lifted": ("2 t n", "b"),
}
_TRUTH_LAYOUT = {
    "true_tracks_px": ("2 t m 2", "f"),
    "true_visible": ("2 t m", "b"),
    "true_points_world": ("t m 3", "f"),
}
_OPTIONAL = ("confidence", "true_cam_from_world")
_KINDS = {"u": "uint8", "f": "floating-point numbers", "b": "bools", "iu": "a whole number", "U": "text"}


@dataclass(frozen=True)
class SceneView(TensorFields):
    """One view of a scene; its size is its own.

    Attributes:
        video: Colours.
        depth: z-depth of pixel centres, 0 = none.
        cameras: In the world of the scene; K in pixels of the video.
        confidence: Of the depth, 0 = none, higher is better; None = nobody said.
        true_cam_from_world: The true camera, or the one asked for, where ``cameras`` were estimated; None = not known.
    """

    video: UInt8[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]
    cameras: Cameras
    confidence: Float[Tensor, "t h w"] | None = None
    true_cam_from_world: Float[Tensor, "t 4 4"] | None = None


@dataclass(frozen=True)
class SceneTracks(TensorFields):
    """Points tracked through both views, v = 2: reference, generated.

    Attributes:
        pixels: (x, y) of the view's video.
        world: Lifted from the view's own depth; NaN = none.
        visible: Where the point is said to be seen.
        lifted: True where ``world`` is from the depth map, False where it is NaN or linear between seen positions.
    """

    pixels: Float[Tensor, "2 t n 2"]
    world: Float[Tensor, "2 t n 3"]
    visible: Bool[Tensor, "2 t n"]
    lifted: Bool[Tensor, "2 t n"]


@dataclass(frozen=True)
class TrueTracks(TensorFields):
    """True tracks of points, which need not be those that were tracked.

    Attributes:
        pixels: (x, y) of the view's video, true through occlusion.
        visible: Where the point is seen.
        world: The one position that both views see.
    """

    pixels: Float[Tensor, "2 t m 2"]
    visible: Bool[Tensor, "2 t m"]
    world: Float[Tensor, "t m 3"]


@dataclass(frozen=True)
class Scene4D(TensorFields):
    """A reference and a generated view in one world, frame by frame.

    Attributes:
        reference: The video that was given.
        generated: The view that was generated.
        times_s: When a frame is shown, seconds from the first; increasing.
        alignment: Scale and shift of each view's inverse depth that ``depth`` was lifted with, (1, 0) = as given.
        alignment_residual: Median relative error of inverse depth after the alignment; NaN = nothing was aligned.
        unit: Of depth and poses, ``METRES`` or ``UNKNOWN``.
        tracks: None = no points were tracked.
        true_tracks: None = not known.
    """

    reference: SceneView
    generated: SceneView
    times_s: Float[Tensor, " t"]
    alignment: Float[Tensor, "2 2"]
    alignment_residual: Float[Tensor, "2"]
    unit: str = UNKNOWN
    tracks: SceneTracks | None = None
    true_tracks: TrueTracks | None = None

    @property
    def views(self) -> tuple[SceneView, SceneView]:
        """The views in the order of the axis v."""
        return self.reference, self.generated

    @property
    def num_frames(self) -> int:
        """Frames of either view."""
        return len(self.times_s)


def write_scene4d(path: Path, scene: Scene4D) -> None:
    """Write a scene; the file appears whole or not at all.

    Raises:
        InputError: As ``read_scene4d`` would of the file, or if the place cannot be written to.
    """
    arrays: dict[str, np.ndarray] = {"version": np.array(VERSION), "unit": np.array(scene.unit)}
    arrays |= _to_numpy(times_s=scene.times_s, alignment=scene.alignment, alignment_residual=scene.alignment_residual)
    for name, view in zip(VIEWS, scene.views, strict=True):
        known = {
            "video": view.video,
            "depth": _or_zero(view.depth),
            "intrinsics": view.cameras.intrinsics,
            "cam_from_world": view.cameras.cam_from_world,
            "confidence": None if view.confidence is None else _or_zero(view.confidence),
            "true_cam_from_world": view.true_cam_from_world,
        }
        arrays |= _to_numpy(**{f"{name}_{field}": value for field, value in known.items()})
    if scene.tracks is not None:
        tracks = scene.tracks
        arrays |= _to_numpy(
            tracks_px=tracks.pixels, tracks_world=tracks.world, visible=tracks.visible, track_lifted=tracks.lifted
        )
    if scene.true_tracks is not None:
        truth = scene.true_tracks
        arrays |= _to_numpy(true_tracks_px=truth.pixels, true_visible=truth.visible, true_points_world=truth.world)
    where = f"{path} to write"
    _check_layout(where, {name: ArrayHeader(array.dtype, array.shape) for name, array in arrays.items()})
    _scene_of(where, arrays)
    write_arrays(path, arrays)


def read_scene4d(path: Path) -> Scene4D:
    """Read a scene.

    Raises:
        InputError: Naming file and array, if the file is no ``scene4d.npz``, a view is missing or has no depth at all,
            an array has another shape or type, times do not increase, or a camera is no pinhole camera.
    """
    arrays = read_arrays(path, _layout().__contains__, check=lambda headers: _check_layout(str(path), headers))
    return _scene_of(str(path), arrays)


def _layout() -> dict[str, tuple[str, str]]:
    """Return axes and kind of every array; sizes of a view are bound for that view alone."""
    layout = {**_SCENE_LAYOUT, **_TRACK_LAYOUT, **_TRUTH_LAYOUT}
    for view in VIEWS:
        for name, (axes, kind) in _VIEW_LAYOUT.items():
            # The two views may have two sizes, so that each has names of its own for them.
            own = axes.replace("h", f"h_{view}").replace("w", f"w_{view}")
            layout[f"{view}_{name}"] = (own, kind)
    return layout


def _check_layout(where: str, headers: Mapping[str, ArrayHeader]) -> None:
    layout = _layout()
    optional = {*_TRACK_LAYOUT, *_TRUTH_LAYOUT, *(f"{view}_{name}" for view in VIEWS for name in _OPTIONAL)}
    for name in layout:
        if name not in headers and name not in optional:
            raise InputError(f"{where}: {name}: missing, got {sorted(headers)}, want a scene4d.npz of both views")
    for group in (_TRACK_LAYOUT, _TRUTH_LAYOUT):
        there = [name for name in group if name in headers]
        if len(there) not in (0, len(group)):
            raise InputError(f"{where}: got {', '.join(there)} alone, want all or none of {', '.join(group)}")
    sizes: dict[str, int] = {}
    for name, (axes, kinds) in layout.items():
        if name in headers:
            _check_array(f"{where}: {name}", headers[name], axes.split(), kinds, sizes)


def _check_array(what: str, header: ArrayHeader, axes: list[str], kinds: str, sizes: dict[str, int]) -> None:
    """Refuse an array of another type or shape; sizes that it is the first to have are added to ``sizes``."""
    is_byte_wide = kinds != "u" or header.dtype == np.uint8
    if header.dtype.kind not in kinds or not is_byte_wide:
        raise InputError(f"{what}: got {header.dtype}, want {_KINDS[kinds]}")
    want = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes]
    fits = len(want) == header.ndim
    if fits:
        for size, got in zip(want, header.shape, strict=True):
            fits = fits and size in (None, got)
    if not fits:
        known = ", ".join(f"{axis} = {size}" for axis, size in sizes.items() if axis in axes)
        raise InputError(f"{what}: got shape {header.shape}, want ({' '.join(axes)}){known and ' with '}{known}")
    for axis, got in zip(axes, header.shape, strict=True):
        if not axis.isdigit():
            sizes[axis] = got
        if got == 0 and axis not in ("n", "m"):
            raise InputError(f"{what}: got shape {header.shape}, want no empty axis")


def _scene_of(where: str, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Scene4D:
    if int(arrays["version"]) != VERSION:
        raise InputError(f"{where}: version: got {arrays['version']}, want {VERSION}")
    unit = str(arrays["unit"])
    if unit not in (METRES, UNKNOWN):
        raise InputError(f"{where}: unit: got {unit!r:.40}, want {METRES!r} or {UNKNOWN!r}")
    times = _floats(arrays["times_s"])
    if not bool(times.isfinite().all() and (times.diff() > 0).all()):
        raise InputError(f"{where}: times_s: got {times.tolist()!s:.80}, want finite numbers that increase")
    alignment = _floats(arrays["alignment"])
    if not bool(alignment.isfinite().all()):
        raise InputError(f"{where}: alignment: got {alignment.tolist()}, want finite numbers")
    views = [_view_of(f"{where}: {view}", _of_view(arrays, view)) for view in VIEWS]
    tracks = None
    if "tracks_px" in arrays:
        tracks = SceneTracks(
            _floats(arrays["tracks_px"]),
            _floats(arrays["tracks_world"]),
            torch.from_numpy(arrays["visible"]),
            torch.from_numpy(arrays["track_lifted"]),
        )
    truth = None
    if "true_tracks_px" in arrays:
        truth = TrueTracks(
            _floats(arrays["true_tracks_px"]),
            torch.from_numpy(arrays["true_visible"]),
            _floats(arrays["true_points_world"]),
        )
    return Scene4D(views[0], views[1], times, alignment, _floats(arrays["alignment_residual"]), unit, tracks, truth)


def _of_view(arrays: Mapping[str, Shaped[np.ndarray, "..."]], view: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    names = {name: f"{view}_{name}" for name in _VIEW_LAYOUT}
    return {name: arrays[key] for name, key in names.items() if key in arrays}


def _view_of(where: str, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> SceneView:
    depth = _or_zero(_floats(arrays["depth"]))
    if not bool((depth > 0).any()):
        raise InputError(f"{where}_depth: got no pixel with a depth, want depth over 0 somewhere")
    poses = _floats(arrays["cam_from_world"])
    lens = _floats(arrays["intrinsics"])
    check_poses(poses, f"{where}_cam_from_world frame ")
    focal = torch.stack([lens[:, 0, 0], lens[:, 1, 1]])
    if not bool(lens.isfinite().all() and (focal > 0).all()):
        raise InputError(f"{where}_intrinsics: got a NaN, infinity or focal length <= 0, want K in pixels")
    confidence = arrays.get("confidence")
    true_poses = None
    if "true_cam_from_world" in arrays:
        true_poses = _floats(arrays["true_cam_from_world"])
        check_poses(true_poses, f"{where}_true_cam_from_world frame ")
    return SceneView(
        torch.from_numpy(arrays["video"]),
        depth,
        Cameras(poses, lens),
        None if confidence is None else _or_zero(_floats(confidence)),
        true_poses,
    )


def _to_numpy(**tensors: Shaped[Tensor, "..."] | None) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the tensors that are there as arrays; floats in 32 bits."""
    arrays = {}
    for name, tensor in tensors.items():
        if tensor is not None:
            value = tensor.detach().cpu()
            # The file has one kind of floating-point numbers, whatever the scene was computed in.
            arrays[name] = (value.float() if value.is_floating_point() else value).numpy()
    return arrays


def _floats(array: Shaped[np.ndarray, " *s"]) -> Float[Tensor, " *s"]:
    return torch.from_numpy(array.astype(np.float32, copy=False))


def _or_zero(values: Float[Tensor, " *s"]) -> Float[Tensor, " *s"]:
    """Return 0 for numbers that are not finite or not over 0."""
    return torch.where(values.isfinite() & (values > 0), values, 0.0)
