"""Checks that a clip of any format must pass; each returns what is wrong, by field.

Where a rule is about a tolerance at a surface's edge, a share of the visible points may break it: DISAGREEING_SHARE.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mvt4g.formats.axes import bind_axes
from mvt4g.formats.clip_folder import ClipExtras
from mvt4g.geometry.camera import points_depth, project_points
from mvt4g.geometry.pose import check_poses
from mvt4g.types import InputError, MultiViewClip

PROJECTION_TOLERANCE_PX = 1e-3
"""For points in or about the picture, and for pixels over 1,000 their float32 share of 1e-6."""
DEPTH_TOLERANCE = 0.01
"""Share of its depth by which a visible point may lie behind the farthest, or before the nearest, pixel about it."""
NORMAL_TOLERANCE = 1e-3
"""By which a normal's length may be off 0 or 1."""
DISAGREEING_SHARE = 0.005
"""Share of a clip's visible points that may disagree with depth or instances: rules differ at edges."""

BENT_SHARE = 0.05
"""Share of them that may lie before all pixels about them: surfaces bend between the pixels of small pictures."""

_AXES = {
    "video": "v t 3 h w",
    "cameras.cam_from_world": "_ t 4 4",
    "cameras.intrinsics": "_ t 3 3",
    "tracks": "v t n 2",
    "visible": "v t n",
    "points_world": "t n 3",
    "point_instance": "n",
    "point_valid": "n",
    "depth": "v t h w",
    "instances": "v t h w",
    "dynamic": "v t h w",
    "covisible": "v t h w",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        check: Name of the check among CHECKS.
        field: Of the clip.
        got: What was found, and where.
        want: What should have been.
        view: Where it was first found, if in one view.
    """

    check: str
    field: str
    got: str
    want: str
    view: int | None = None

    def __str__(self) -> str:
        """Return field, value got and value wanted."""
        return f"{self.field}: got {self.got}, want {self.want}"


def check_clip(clip: MultiViewClip) -> list[Fault]:
    """Return all that is wrong with a clip; checks that its other faults make meaningless are left out."""
    faults = check_counts(clip)
    if faults:
        return faults
    faults = check_finite(clip) + check_cameras(clip)
    broken = {fault.field.partition(".")[0] for fault in faults}
    for name, check in CHECKS.items():
        if name in ("counts", "finite", "cameras") or not applies(name, clip):
            continue
        if broken.isdisjoint((*check.needs, *check.takes)):
            faults += check.run(clip)
    return faults


def applies(name: str, clip: MultiViewClip) -> bool:
    """Say whether a clip has what a check is about."""
    needs = CHECKS[name].needs
    for field in needs:
        is_known = known_cameras(clip) if field == "cameras" else getattr(clip, field) is not None
        if not is_known:
            return False
    return True


def known_cameras(clip: MultiViewClip) -> bool:
    """Say whether a clip has cameras: NaN throughout means unknown, but not where points in space are known."""
    if clip.points_world is not None:
        return True
    return not (clip.cameras.cam_from_world.isnan().all() or clip.cameras.intrinsics.isnan().all())


def check_counts(clip: MultiViewClip) -> list[Fault]:
    """Check that fields agree on views, frames, points and pixels, and that none of these is 0."""
    sizes: dict[str, int] = {}
    faults = []
    for name, axes in _AXES.items():
        tensor = _field(clip, name)
        if tensor is None:
            continue
        if 0 in tensor.shape or not bind_axes(axes, tensor.shape, sizes):
            known = ", ".join(f"{axis} = {size}" for axis, size in sizes.items())
            faults.append(Fault("counts", name, f"shape {tuple(tensor.shape)}", f"({axes}) with {known}"))
        sizes.pop("_", None)  # which stands for any number
    cameras = len(clip.cameras.intrinsics)
    if not faults and not (cameras == len(clip.cameras.cam_from_world) and cameras >= len(clip.video)):
        want = f"one for each of {len(clip.video)} views"
        faults.append(Fault("counts", "cameras", f"{cameras} cameras", want))
    return faults


def check_finite(clip: MultiViewClip) -> list[Fault]:
    """Check that video lies in [0, 1], depth is no negative number, ids are from 0, points and tracks are finite."""
    faults = []
    rules: tuple[tuple[str, Callable[[Tensor], Tensor], str], ...] = (
        ("video", lambda video: (video >= 0) & (video <= 1), "values in [0, 1]"),
        ("tracks", _tracked(clip), "finite pixels"),
        ("points_world", _placed(clip), "finite positions"),
        ("depth", lambda depth: ~(depth < 0), "0 (none) or more"),
        ("instances", lambda ids: ids >= 0, "ids from 0"),
        ("point_instance", lambda ids: ids >= 0, "ids from 0"),
    )
    for name, good, want in rules:
        tensor = _field(clip, name)
        if tensor is not None and not bool((right := good(tensor)).all()):
            place = tuple((~right).nonzero()[0].tolist())
            got = f"{tensor[place].tolist()} at {place}"
            faults.append(Fault("finite", name, got, want, _view(name, place)))
    return faults


def check_cameras(clip: MultiViewClip) -> list[Fault]:
    """Check that poses are rigid and K is a pinhole's: focal lengths over 0, last row 0 0 1."""
    if not known_cameras(clip):
        return []
    faults = []
    try:
        check_poses(clip.cameras.cam_from_world, "cam_from_world")
    except InputError as error:
        where, _, rest = str(error).partition(": got ")
        got, _, want = rest.partition(", want ")
        at = where.partition("[")[2].removesuffix("]")
        faults.append(Fault("cameras", "cameras.cam_from_world", f"{got} at {at}", want))
    k = clip.cameras.intrinsics
    pinhole = k.isfinite().all(-1).all(-1) & (k[..., 0, 0] > 0) & (k[..., 1, 1] > 0) & (k[..., 1, 0] == 0)
    pinhole &= (k[..., 2, :] == k.new_tensor([0.0, 0.0, 1.0])).all(-1)
    if not bool(pinhole.all()):
        place = tuple((~pinhole).nonzero()[0].tolist())
        want = "[[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0"
        got = f"{k[place].tolist()} at {place}"
        faults.append(Fault("cameras", "cameras.intrinsics", got, want, place[0]))
    return faults


def check_projection(clip: MultiViewClip) -> list[Fault]:
    """Check tracks against the projections of their points, in the picture and as far around it as it is wide."""
    assert clip.tracks is not None
    assert clip.points_world is not None
    height, width = clip.video.shape[-2:]
    views = len(clip.video)
    pixels, in_front = project_points(
        clip.points_world.double(),
        rearrange(clip.cameras.cam_from_world[:views].double(), "v t i j -> v t 1 i j"),
        rearrange(clip.cameras.intrinsics[:views].double(), "v t i j -> v t 1 i j"),
    )
    size = pixels.new_tensor([width, height])
    tracks = clip.tracks.double()
    near = _is_near(pixels, size) | _is_near(tracks, size)
    error = (pixels - tracks).norm(dim=-1)
    allowed = PROJECTION_TOLERANCE_PX * (pixels.norm(dim=-1) / 1000).clamp(min=1)
    off = in_front & near & (error > allowed)
    if clip.visible is not None:
        off |= clip.visible & ~in_front
    off &= _valid(clip)
    if not bool(off.any()):
        return []
    worst = torch.where(off, error, 0.0).argmax()
    place = tuple(map(int, torch.unravel_index(worst, error.shape)))
    got = f"{float(error[place]):.3g} px off the point's projection at {place}, {int(off.sum())} like it"
    return [Fault("projection", "tracks", got, f"at most {PROJECTION_TOLERANCE_PX} px", place[0])]


def _is_near(where: Float[Tensor, "*s 2"], size: Float[Tensor, " 2"]) -> Bool[Tensor, " *s"]:
    """Say which positions lie in the picture, or as far around it as it is wide."""
    return ((where >= -size) & (where <= 2 * size)).all(-1)


def check_inside(clip: MultiViewClip) -> list[Fault]:
    """Check that what is visible is a point, and inside the picture."""
    assert clip.tracks is not None
    assert clip.visible is not None
    height, width = clip.video.shape[-2:]
    inside = ((clip.tracks >= 0) & (clip.tracks < clip.tracks.new_tensor([width, height]))).all(-1)
    faults = []
    for wrong, want in (
        (clip.visible & ~_valid(clip), "False on padding"),
        (clip.visible & _valid(clip) & ~inside, f"0 <= x < {width}, 0 <= y < {height} where visible"),
    ):
        if bool(wrong.any()):
            place = tuple(wrong.nonzero()[0].tolist())
            track = clip.tracks[place].tolist()
            got = f"True at {place}, where the track is {track}, {int(wrong.sum())} like it"
            faults.append(Fault("inside", "visible", got, want, place[0]))
    return faults


def check_depth(clip: MultiViewClip) -> list[Fault]:
    """Check that visible points lie at the depth of the four pixels about them, to 1 %.

    Behind all four they would be hidden by the rule that visibility follows; before all four lie some points on
    surfaces that bend between pixels. Pixels without depth say nothing.
    """
    assert clip.depth is not None
    assert clip.visible is not None
    assert clip.points_world is not None
    views = len(clip.video)
    poses = rearrange(clip.cameras.cam_from_world[:views], "v t i j -> v t 1 i j")
    own = points_depth(clip.points_world, poses)
    about = _about(clip, clip.depth)
    known = clip.visible & (about.isfinite() & (about > 0)).all(-1)
    behind = own * (1 - DEPTH_TOLERANCE) > about.amax(-1)
    before = own < about.amin(-1) * (1 - DEPTH_TOLERANCE)
    faults = _share(clip, "depth", "visible", known & behind, "none behind all pixels about it by over 1 %")
    few = "few points before all pixels about them by over 1 %"
    return faults + _share(clip, "depth", "depth", known & before, few, BENT_SHARE)


def check_ids(clip: MultiViewClip) -> list[Fault]:
    """Check that visible points lie on pixels of their instance, and that an instance moves in all pixels or none."""
    faults = []
    assert clip.instances is not None
    if clip.point_instance is not None and clip.visible is not None and clip.tracks is not None:
        strange = (_about(clip, clip.instances) != clip.point_instance[:, None]).all(-1) & clip.visible
        faults += _share(clip, "ids", "visible", strange, "a pixel of the point's instance about it")
    if clip.dynamic is not None:
        for number in clip.instances.unique().tolist():
            share = float(clip.dynamic[clip.instances == number].float().mean())
            if share not in (0.0, 1.0) or (number == 0 and share):
                got = f"{share:.1%} of the pixels of instance {number}"
                want = "none of the background" if number == 0 else "all of an instance or none"
                faults.append(Fault("ids", "dynamic", got, want))
                break
    return faults


def check_extras(clip: MultiViewClip, extras: ClipExtras) -> list[Fault]:
    """Check what is stored beside a clip: normals of length 0 or 1, rigid poses, collisions in the clip's frames."""
    faults = []
    if extras.normals is not None:
        length = extras.normals.norm(dim=2)
        off = ((length - 1).abs() > NORMAL_TOLERANCE) & ~(length < NORMAL_TOLERANCE)
        if bool(off.any()):
            place = tuple(off.nonzero()[0].tolist())
            got = f"length {float(length[place]):.3g} at {place}"
            faults.append(Fault("extras", "normals", got, "length 1, or 0 where there is no surface", place[0]))
    if extras.world_from_object is not None:
        try:
            check_poses(extras.world_from_object, "world_from_object")
        except InputError as error:
            got, _, want = str(error).partition(": got ")[2].partition(", want ")
            faults.append(Fault("extras", "world_from_object", got, want))
    if extras.collisions is not None and len(extras.collisions):
        last = int(extras.collisions[:, 0].max())
        if last >= clip.video.shape[1]:
            want = f"frames 0 to {clip.video.shape[1] - 1}"
            faults.append(Fault("extras", "collisions", f"frame {last}", want))
    return faults


@dataclass(frozen=True)
class _Check:
    needs: tuple[str, ...]
    run: Callable[[MultiViewClip], list[Fault]]
    takes: tuple[str, ...] = ()  # where there


CHECKS = {
    "counts": _Check((), check_counts),
    "finite": _Check((), check_finite),
    "cameras": _Check(("cameras",), check_cameras),
    "projection": _Check(("cameras", "tracks", "points_world"), check_projection, ("visible",)),
    "inside": _Check(("tracks", "visible"), check_inside),
    "depth": _Check(("cameras", "tracks", "visible", "points_world", "depth"), check_depth),
    "ids": _Check(("instances",), check_ids, ("point_instance", "tracks", "visible", "dynamic")),
}
"""By name: the fields that each needs, and how it is run."""


def _field(clip: MultiViewClip, name: str) -> Shaped[Tensor, "..."] | None:
    room, _, part = name.rpartition(".")
    value: Tensor | None = getattr(getattr(clip, room) if room else clip, part)
    return value


def _valid(clip: MultiViewClip) -> Bool[Tensor, "..."]:
    return torch.tensor(True) if clip.point_valid is None else clip.point_valid


def _placed(clip: MultiViewClip) -> Callable[[Float[Tensor, "... n d"]], Bool[Tensor, "... n"]]:
    return lambda positions: positions.isfinite().all(-1) | ~_valid(clip)


def _tracked(clip: MultiViewClip) -> Callable[[Float[Tensor, "v t n 2"]], Bool[Tensor, "v t n"]]:
    """As ``_placed``, but where a tracker, which knows no scene, has lost a point it has no position."""
    placed = _placed(clip)
    visible = clip.visible
    if visible is None or clip.points_world is not None:
        return placed
    return lambda tracks: placed(tracks) | ~visible


def _view(name: str, place: tuple[int, ...]) -> int | None:
    return place[0] if _AXES[name].startswith("v") else None


def _about(clip: MultiViewClip, maps: Shaped[Tensor, "v t h w"]) -> Shaped[Tensor, "v t n 4"]:
    """Return the values of the four pixels whose centres surround each track (v t n 4), the border's repeated."""
    assert clip.tracks is not None
    height, width = maps.shape[-2:]
    corner = (clip.tracks - 0.5).floor().nan_to_num().clamp(-1, max(height, width)).long()
    columns = (corner[..., 0, None] + torch.tensor([0, 1, 0, 1])).clamp(0, width - 1)
    rows = (corner[..., 1, None] + torch.tensor([0, 0, 1, 1])).clamp(0, height - 1)
    flat = rearrange(rows * width + columns, "v t n s -> v t (n s)")
    return rearrange(rearrange(maps, "v t h w -> v t (h w)").gather(-1, flat), "v t (n s) -> v t n s", s=4)


def _share(
    clip: MultiViewClip,
    check: str,
    field: str,
    wrong: Bool[Tensor, "v t n"],
    want: str,
    allowed: float = DISAGREEING_SHARE,
) -> list[Fault]:
    """Return a fault if more than a share of the visible points are wrong; one of them always may be."""
    assert clip.visible is not None
    count = int(wrong.sum())
    of = int(clip.visible.sum())
    if count <= max(1, allowed * of):
        return []
    place = tuple(wrong.nonzero()[0].tolist())
    got = f"{count} of {of} visible points that disagree, first at {place}"
    return [Fault(check, field, got, want, place[0])]
