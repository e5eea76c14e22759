"""Where the depth of both views comes from: files, the truth, a plane or a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from mvt4g.formats.foreign.depth_files import ViewDepth, read_joint_depth, read_view_depth
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.depth_maps import resize_depth
from mvt4g.inference.lifting.alignment import triangulated_depths
from mvt4g.inference.lifting.facing_plane import distance_by_way, facing_plane_depth
from mvt4g.inference.lifting.lift_input import GivenTracks, LiftInput
from mvt4g.models.depth_model import DepthModel, DepthPrediction, TransformersDepth
from mvt4g.ranges import Positive, check_ranges
from mvt4g.types import Cameras, InputError

DepthKind = Literal["files", "true", "plane", "model"]


@dataclass(frozen=True)
class DepthSpec:
    """Where depth comes from.

    Attributes:
        reference: Of "files": what a program left of the reference video.
        generated: Of "files": what it left of the generated video.
        joint: Of "files": what it left of both, all frames of the reference before those of the generated video.
        model: Of "model": a local folder of a depth network of transformers.
        distance: Of "plane": from the reference's first camera, scene units; null = the median of triangulated
            tracks, else four times the way between the cameras, at least 1.
    """

    reference: Path | None = None
    generated: Path | None = None
    joint: Path | None = None
    model: Path | None = None
    distance: Positive | None = None

    def __post_init__(self) -> None:
        """Check what is given together.

        Raises:
            InputError: If files of one view and of both are given, of one view alone, or the distance is no distance.
        """
        check_ranges(self, "depth_from")
        if self.joint is not None and (self.reference is not None or self.generated is not None):
            raise InputError("--depth_from.joint: got it beside files of one view, want either")
        if (self.reference is None) != (self.generated is None):
            missing = "generated" if self.generated is None else "reference"
            raise InputError(f"--depth_from.{missing}: missing, want the depth of both views, or --depth_from.joint")


@dataclass(frozen=True)
class ChosenDepth:
    """Depth of both views.

    Attributes:
        views: Reference and generated.
        is_exact: Whether scale and shift are those of the cameras given.
        in_one_world: Whether the cameras of both, if there are any, are in one world.
        sentence: Where it comes from.
    """

    views: tuple[ViewDepth, ViewDepth]
    is_exact: bool
    in_one_world: bool
    sentence: str


def choose_depth(
    source: LiftInput, kind: DepthKind | None, spec: DepthSpec, model: DepthModel | None = None
) -> ChosenDepth:
    """Return the depth of both views.

    Args:
        source: What is lifted.
        kind: None = files or a model if ``spec`` names them, else the true depth that lies with the videos.
        spec: Of where it lies.
        model: Takes the place of ``spec.model``.

    Raises:
        InputError: If there is no such depth, or it does not fit the videos.
    """
    if kind is None:
        kind = _kind_of(spec, model)
    has_files = spec.joint is not None or spec.reference is not None
    if has_files and kind != "files":
        raise InputError(f"--depth: got {kind} beside files in --depth_from, want files, or no files")
    if kind == "model":
        return _by_model(source, spec, model)
    if kind == "plane":
        return _by_plane(source, spec)
    if kind == "files" and spec.joint is not None:
        views = read_joint_depth(spec.joint, source.sizes, len(source.times_s))
        return ChosenDepth(views, False, True, f"depth of both views from {spec.joint}")
    if kind == "files" and spec.reference is not None and spec.generated is not None:
        count = len(source.times_s)
        reference = read_view_depth(spec.reference, source.sizes[0], count)
        generated = read_view_depth(spec.generated, source.sizes[1], count)
        said = f"depth from {spec.reference} and {spec.generated}"
        return ChosenDepth((reference, generated), False, False, said)
    if source.depth is None:
        want = "--depth files, model or plane"
        if kind == "files":
            want = "--depth_from.joint, or --depth_from.reference and --depth_from.generated"
        raise InputError(f"{source.name}: got no depth of both views beside the videos, want {want}")
    of_reference, of_generated = source.depth
    views = (ViewDepth(_or_zero(of_reference)), ViewDepth(_or_zero(of_generated)))
    return ChosenDepth(views, kind == "true", False, f"depth that lies with {source.name}")


def _kind_of(spec: DepthSpec, model: DepthModel | None) -> DepthKind:
    if spec.model is not None or model is not None:
        return "model"
    return "true" if spec.joint is None and spec.reference is None else "files"


def _by_model(source: LiftInput, spec: DepthSpec, model: DepthModel | None) -> ChosenDepth:
    """Run a network over the frames of both views at once if their sizes are one, else over each view."""
    if model is None:
        if spec.model is None:
            raise InputError("--depth_from.model: missing, want a local folder of a depth network of transformers")
        model = TransformersDepth(spec.model)
    said = f"depth by {'a model' if spec.model is None else spec.model}"
    frames = [_floats(video) for video in source.videos]
    if source.sizes[0] != source.sizes[1]:
        # Two runs have two worlds, so that the cameras of neither are used.
        apart = [_view_of(model(each), slice(0, len(each)), tuple(each.shape[-2:])) for each in frames]
        return ChosenDepth((apart[0], apart[1]), False, False, said)
    answer = model(torch.cat(frames))
    count = len(source.times_s)
    if len(answer.depth) != 2 * count:
        raise InputError(f"{said}: got depth of {len(answer.depth)} frames, want {2 * count}: of both views")
    reference = _view_of(answer, slice(0, count), source.sizes[0])
    generated = _view_of(answer, slice(count, 2 * count), source.sizes[1])
    return ChosenDepth((reference, generated), False, answer.cameras is not None, said)


def _view_of(answer: DepthPrediction, frames: slice, size: tuple[int, ...]) -> ViewDepth:
    """Return some frames of a network's answer at the size of the video."""
    height, width = size
    cameras = answer.cameras
    confidence = answer.confidence
    if cameras is not None:
        scales = width / answer.depth.shape[-1], height / answer.depth.shape[-2]
        cameras = Cameras(cameras.cam_from_world[frames], scale_intrinsics(cameras.intrinsics[frames], *scales))
    if confidence is not None:
        confidence = torch.nn.functional.interpolate(confidence[None, frames], (height, width), mode="nearest")[0]
    depth = resize_depth(_or_zero(answer.depth[frames]), (height, width))
    return ViewDepth(depth, confidence, cameras, answer.is_metric)


def _by_plane(source: LiftInput, spec: DepthSpec) -> ChosenDepth:
    """Put all that both views show on one plane before the reference's first camera."""
    if source.cameras is None:
        raise InputError(f"{source.name}: got no cameras, want cameras.json of both views for --depth plane")
    distance = spec.distance
    how = "as asked"
    if distance is None:
        distance, how = _plane_distance(source.cameras, source.tracks)
    first = source.cameras[0].cam_from_world[0]
    views = []
    for camera, size in zip(source.cameras, source.sizes, strict=True):
        views.append(ViewDepth(facing_plane_depth(camera, size, first, distance)))
    said = f"a plane {distance:.3g} scene units before the reference's first camera, {how}"
    return ChosenDepth((views[0], views[1]), True, False, said)


def _plane_distance(cameras: tuple[Cameras, Cameras], tracks: GivenTracks | None) -> tuple[float, str]:
    """Return where the plane stands, and how it was found."""
    found, _ = triangulated_depths(tracks, cameras)
    if len(found):
        return float(found.median()), f"the median of {len(found)} triangulated points"
    return distance_by_way(*cameras), "by the cameras' way"


def _floats(video: UInt8[Tensor, "t h w 3"]) -> Float[Tensor, "t 3 h w"]:
    return rearrange(video, "t h w c -> t c h w").float() / 255


def _or_zero(depth: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Return 0 for depth that is none."""
    return torch.where(depth.isfinite() & (depth > 0), depth, 0.0)
