"""Two videos with depth and cameras lifted into one scene."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.scene4d import METRES, UNKNOWN, Scene4D, SceneView
from mvt4g.geometry.inverse_depth import InverseDepthFit
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.inference.lifting.alignment import align_depths
from mvt4g.inference.lifting.depth_choice import ChosenDepth
from mvt4g.inference.lifting.lift_input import LiftInput
from mvt4g.inference.lifting.lifted_tracks import disagreement, lift_tracks
from mvt4g.types import Cameras, InputError

CameraKind = Literal["given", "estimated"]
STILL = 1e-6
"""Largest distance of camera centres, in units of the depth, that is no way."""


@dataclass(frozen=True)
class LiftSpec:
    """How depth becomes a scene.

    Attributes:
        cameras: "given" with the videos, or "estimated" with a depth of both views in one world; null = estimated
            where there are such, else given.
        align: Fit scale and shift of each view's inverse depth to the cameras; null = where depth is neither exact nor
            of the cameras' own program.
        fill_hidden: A hidden point lies linearly between the seen positions about it; false = NaN.
    """

    cameras: CameraKind | None = None
    align: bool | None = None
    fill_hidden: bool = True


@dataclass(frozen=True)
class LiftedScene:
    """A scene and what there is to say of it.

    Attributes:
        scene: The scene.
        sentences: Where depth comes from, how it was aligned, how well the views agree.
    """

    scene: Scene4D
    sentences: tuple[str, ...]


def lift_scene(source: LiftInput, chosen: ChosenDepth, spec: LiftSpec = LiftSpec()) -> LiftedScene:
    """Lift both views into one world.

    Args:
        source: The videos, and what is known of them.
        chosen: Depth of both views.
        spec: How.

    Raises:
        InputError: If there are no cameras of both views in one world.
    """
    is_estimated = _takes_estimated(source, chosen, spec.cameras)
    true_poses: tuple[Float[Tensor, "t 4 4"] | None, Float[Tensor, "t 4 4"] | None] = (None, None)
    if is_estimated:
        cameras = _from_first(_own_cameras(chosen))
        true_poses = _asked_beside(cameras, source.cameras)
    elif source.cameras is not None:
        cameras = source.cameras
    reference, generated = chosen.views
    # Files of one program say the same of both views.
    sentences = [chosen.sentence, *dict.fromkeys((*reference.notes, *generated.notes))]
    depths = (reference.depth, generated.depth)
    fits = (InverseDepthFit(), InverseDepthFit())
    if spec.align or (spec.align is None and not chosen.is_exact and not is_estimated):
        found = align_depths(depths, cameras, source.tracks)
        fits = found.fits
        depths = (fits[0].apply(depths[0]), fits[1].apply(depths[1]))
        sentences.append(found.sentence())
    tracks = None
    if source.tracks is not None:
        tracks = lift_tracks(source.tracks, depths, cameras, source.instances, source.point_instance, spec.fill_hidden)
        apart, count = disagreement(tracks, cameras[0])
        if count:
            seen = f"median of {count} points that both see"
            sentences.append(f"the views lie {100 * apart:.2g} % of depth apart, {seen}")
    views = []
    for index, (video, given) in enumerate(zip(source.videos, chosen.views, strict=True)):
        views.append(SceneView(video, depths[index], cameras[index], given.confidence, true_poses[index]))
    # Depth that was fitted to cameras has their unit, which nobody tells.
    is_metric = is_estimated and reference.is_metric and generated.is_metric
    scene = Scene4D(
        reference=views[0],
        generated=views[1],
        times_s=source.times_s,
        alignment=torch.tensor([[fits[0].scale, fits[0].shift], [fits[1].scale, fits[1].shift]]),
        alignment_residual=torch.tensor([fits[0].residual, fits[1].residual]),
        unit=METRES if is_metric else UNKNOWN,
        tracks=tracks,
        true_tracks=None if is_estimated else source.true_tracks,  # these are in the world of the cameras given
    )
    return LiftedScene(scene, tuple(sentences))


def _takes_estimated(source: LiftInput, chosen: ChosenDepth, kind: CameraKind | None) -> bool:
    """Say whether the cameras are those of the depth's program.

    Raises:
        InputError: If the cameras asked for are not there.
    """
    has_own = chosen.in_one_world and all(view.cameras is not None for view in chosen.views)
    if kind == "estimated" and not has_own:
        raise InputError(
            "--scene.cameras: got estimated, want a depth of both views in one world that tells them, such as "
            "--depth_from.joint of Depth Anything 3"
        )
    if has_own and kind != "given":
        return True
    if source.cameras is None:
        raise InputError(
            f"{source.name}: got no cameras of both views in one world, want cameras.json there, or "
            "--depth_from.joint: one run of Depth Anything 3 or ViPE over the frames of both"
        )
    return False


def _own_cameras(chosen: ChosenDepth) -> tuple[Cameras, Cameras]:
    first, second = (view.cameras for view in chosen.views)
    assert first is not None
    assert second is not None
    return first, second


def _from_first(cameras: tuple[Cameras, Cameras]) -> tuple[Cameras, Cameras]:
    """Return cameras in the world of the reference's first camera."""
    origin = invert_pose(cameras[0].cam_from_world[:1].double())
    reference = compose(cameras[0].cam_from_world.double(), origin).float()
    generated = compose(cameras[1].cam_from_world.double(), origin).float()
    return Cameras(reference, cameras[0].intrinsics), Cameras(generated, cameras[1].intrinsics)


def _asked_beside(
    estimated: tuple[Cameras, Cameras], given: tuple[Cameras, Cameras] | None
) -> tuple[Float[Tensor, "t 4 4"] | None, Float[Tensor, "t 4 4"] | None]:
    """Return the given poses in the world and unit of the estimated ones, which begin at the reference's first camera.

    Their scale is the least-squares one of the camera centres; without a way of both there is none to compare.
    """
    if given is None:
        return None, None
    asked = _from_first(given)
    ours = _centres(estimated)
    theirs = _centres(asked)
    way = float(theirs.square().sum())
    scale = float((ours * theirs).sum()) / way if way > STILL**2 else 0.0
    if scale <= 0:
        return None, None
    scaled = []
    for camera in asked:
        pose = camera.cam_from_world.clone()
        pose[:, :3, 3] *= scale
        scaled.append(pose)
    return scaled[0], scaled[1]


def _centres(cameras: tuple[Cameras, Cameras]) -> Float[Tensor, "p 3"]:
    """Return the camera centres of both views, one after the other."""
    centres = [invert_pose(camera.cam_from_world.double())[:, :3, 3] for camera in cameras]
    return torch.cat(centres)
