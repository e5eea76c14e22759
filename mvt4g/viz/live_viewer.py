"""A scene in viser, for a browser: large scenes, and machines that are looked at from elsewhere.

Only the frame that is shown is sent, so that a scene of any length opens at once.
"""

import contextlib
import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from mvt4g.formats.scene4d import VIEWS, Scene4D
from mvt4g.geometry.pose import invert_pose, quaternion_from_rotation
from mvt4g.ranges import Count, Positive, check_ranges
from mvt4g.types import InputError
from mvt4g.viz.colours import rainbow_by_row
from mvt4g.viz.scene_clouds import Cloud, CloudFilter, frame_cloud
from mvt4g.viz.tracks import draw_tracks_at

TINTS = {"reference": (230, 120, 60), "generated": (60, 140, 230)}
"""RGB of a view's frustum, path and, on demand, points."""
_TINT_SHARE = 0.6
_TRAIL = 8
"""Past frames whose way a track shows."""
_FRUSTUM = 0.05
"""Size of a frustum as a share of the scene's depth."""


@dataclass(frozen=True)
class ViewerSpec:
    """What the viewer shows.

    Attributes:
        most_points: Of one view's cloud; more are thinned out evenly.
        fps: Frames a second of the playback; null = the videos' own.
        filter: Which pixels become points.
    """

    most_points: Count = 100_000
    fps: Positive | None = None
    filter: CloudFilter = CloudFilter()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range.
        """
        check_ranges(self, "show")


class LiveViewer:
    """A scene on a running viser server.

    Args:
        scene: What is shown.
        server: Of viser.
        spec: How.
    """

    def __init__(self, scene: Scene4D, server: Any, spec: ViewerSpec = ViewerSpec()) -> None:
        self.scene = scene
        self.server = server
        self.spec = spec
        self.frame = 0
        self.depth = _typical_depth(scene)
        self._add_controls()
        self._add_cameras()
        self._look_from_reference()
        self.show(0)

    def show(self, frame: int) -> None:
        """Show a frame of both views: clouds, frusta, tracks and videos."""
        self.frame = frame
        with self.server.atomic():  # one frame on the screen, never half of two
            for name, view in zip(VIEWS, self.scene.views, strict=True):
                self._show_cloud(name, frame)
                self.videos[name].image = self._video_frame(name, frame)
                pose = view.cameras.cam_from_world[frame]
                frustum = self.frusta[name]
                frustum.wxyz, frustum.position = _placed(pose)
                frustum.image = view.video[frame, ::4, ::4].numpy()
            self._show_tracks(frame)

    def play(self, seconds: float) -> None:
        """Wait, and go on by a frame if the viewer is playing; at the end from the start."""
        time.sleep(seconds)
        if self.playing.value and self.scene.num_frames > 1:
            self.slider.value = (self.slider.value + 1) % self.scene.num_frames

    @property
    def seconds_a_frame(self) -> float:
        """How long a frame is shown."""
        return 1 / float(self.speed.value)

    def _add_controls(self) -> None:
        gui = self.server.gui
        last = self.scene.num_frames - 1
        gui.configure_theme(show_share_button=False)  # nothing leaves this machine but to who opens its address
        self.slider = gui.add_slider("frame", min=0, max=max(last, 1), step=1, initial_value=0, disabled=last == 0)
        self.playing = gui.add_checkbox("play", initial_value=False)
        own_fps = 1 / float(self.scene.times_s.diff().median()) if last else 1.0
        fps = min(max(self.spec.fps or own_fps, 0.5), 60.0)
        self.speed = gui.add_slider("frames a second", min=0.5, max=60.0, step=0.5, initial_value=round(2 * fps) / 2)
        self.point_size = gui.add_slider("point size", min=0.25, max=4.0, step=0.25, initial_value=1.0)
        self.tinted = gui.add_checkbox("colour by view", initial_value=False)
        self.shown = {name: gui.add_checkbox(f"{name} cloud", initial_value=True) for name in VIEWS}
        self.with_cameras = gui.add_checkbox("cameras", initial_value=True)
        self.with_tracks = gui.add_checkbox("tracks", initial_value=self.scene.tracks is not None)
        self.videos = {name: gui.add_image(self._video_frame(name, 0), label=name) for name in VIEWS}
        for handle in (self.slider, self.point_size, self.tinted, *self.shown.values(), self.with_tracks):
            handle.on_update(lambda _: self.show(int(self.slider.value)))
        self.with_cameras.on_update(lambda _: self._show_cameras())

    def _add_cameras(self) -> None:
        """Draw each view's path, and a frustum that follows the frame."""
        self.frusta = {}
        self.paths = {}
        for name, view in zip(VIEWS, self.scene.views, strict=True):
            height, width = view.depth.shape[1:]
            fov_y = 2 * np.arctan(0.5 * height / float(view.cameras.intrinsics[0, 1, 1]))
            self.frusta[name] = self.server.scene.add_camera_frustum(
                f"/cameras/{name}", fov=fov_y, aspect=width / height, scale=_FRUSTUM * self.depth, color=TINTS[name]
            )
            centres = invert_pose(view.cameras.cam_from_world)[:, :3, 3]
            steps = torch.stack([centres[:-1], centres[1:]], dim=1)
            self.paths[name] = self._add_lines(f"/paths/{name}", steps, TINTS[name])

    def _show_cameras(self) -> None:
        for handle in (*self.frusta.values(), *self.paths.values()):
            if handle is not None:
                handle.visible = self.with_cameras.value

    def _show_cloud(self, name: str, frame: int) -> None:
        view = self.scene.views[VIEWS.index(name)]
        cloud = _thinned(frame_cloud(view, frame, self.spec.filter), self.spec.most_points)
        colours = cloud.colours.numpy()
        if self.tinted.value:
            mixed = (1 - _TINT_SHARE) * colours + _TINT_SHARE * np.array(TINTS[name])
            colours = mixed.astype(np.uint8)
        # A point as wide as a pixel at the typical depth closes the gaps between its neighbours.
        size = float(self.point_size.value) * 1.5 * self.depth / float(view.cameras.intrinsics[frame, 0, 0])
        self.server.scene.add_point_cloud(
            f"/{name}", cloud.points.numpy(), colours, point_size=size, precision="float32",
            visible=self.shown[name].value, point_shading="flat",
        )  # fmt: skip

    def _show_tracks(self, frame: int) -> None:
        """Draw the points of a frame as dots, and the ways that they came along."""
        tracks = self.scene.tracks
        if tracks is None:
            return
        colours = (rainbow_by_row(tracks.pixels[0]) * 255).byte()
        for view, name in enumerate(VIEWS):
            visible = self.with_tracks.value and self.shown[name].value
            world = tracks.world[view, max(0, frame - _TRAIL) : frame + 1]
            there = world[-1].isfinite().all(dim=-1)
            self.server.scene.add_point_cloud(
                f"/tracks/{name}", world[-1][there].numpy(), colours[there].numpy(), point_size=0.008 * self.depth,
                point_shape="circle", precision="float32", visible=visible, point_shading="flat",
            )  # fmt: skip
            steps = rearrange(torch.stack([world[:-1], world[1:]], dim=2), "t n two xyz -> (t n) two xyz")
            drawn = steps.isfinite().all(dim=-1).all(dim=-1)
            of_steps = colours.repeat(len(world) - 1, 1)[drawn]
            self._add_lines(f"/trails/{name}", steps[drawn], of_steps[:, None].expand(-1, 2, -1).numpy(), visible)

    def _add_lines(self, name: str, steps: Float[Tensor, "s 2 3"], colour: Any, visible: bool = True) -> Any:
        """Draw lines under a name; where there are none, what was there under it is taken away."""
        if not len(steps):
            self.server.scene.remove_by_name(name)
            return None
        return self.server.scene.add_line_segments(
            name, steps.numpy(), colour, thickness=2.0, thickness_units="screen", visible=visible
        )

    def _video_frame(self, name: str, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return a frame of a video, with the tracks on it if they are shown."""
        number = VIEWS.index(name)
        image = self.scene.views[number].video[frame]
        tracks = self.scene.tracks
        if tracks is None or not self.with_tracks.value:
            return image.numpy()
        drawn = draw_tracks_at(
            rearrange(image, "h w c -> c h w").float() / 255,
            frame,
            tracks.pixels[number],
            tracks.visible[number],
            _TRAIL,
            rainbow_by_row(tracks.pixels[0]),
        )
        return rearrange(drawn.mul(255).byte(), "c h w -> h w c").numpy()

    def _look_from_reference(self) -> None:
        """Start a little behind and above the reference's first camera; up is up in its picture."""
        world_from_cam = invert_pose(self.scene.reference.cameras.cam_from_world[0])
        centre = world_from_cam[:3, 3]
        up = -world_from_cam[:3, 1]
        forward = world_from_cam[:3, 2]
        self.server.scene.set_up_direction(tuple(up.tolist()))
        camera = self.server.initial_camera
        camera.position = tuple((centre - 0.3 * self.depth * forward + 0.25 * self.depth * up).tolist())
        camera.look_at = tuple((centre + self.depth * forward).tolist())
        camera.up = tuple(up.tolist())


def start_server(host: str, port: int) -> Any:
    """Start viser.

    Raises:
        InputError: If it is not installed, or cannot listen there.
    """
    try:
        import viser
    except ImportError as error:
        raise InputError("view: viser is not installed, want the extra: mvt4g[viewer]") from error
    try:
        with _quiet():
            return viser.ViserServer(host=host, port=port, label="mvt4g", verbose=False)
    except (OSError, AssertionError) as error:
        raise InputError(f"--host, --port: got {host}, {port}, where nothing can listen ({error})") from error


def stop_server(server: Any) -> None:
    """Stop a server without a word."""
    with _quiet():
        server.stop()


def _quiet() -> contextlib.redirect_stdout[io.StringIO]:
    """Keep viser's own messages away: the command says in one line where to look."""
    return contextlib.redirect_stdout(io.StringIO())


def _typical_depth(scene: Scene4D) -> float:
    first = scene.reference.depth[0]
    depth = scene.reference.depth if not bool((first > 0).any()) else first
    return float(depth[depth > 0].median())


def _thinned(cloud: Cloud, most: int) -> Cloud:
    """Keep evenly many points; rows of the picture stay even as well, since points are in its order."""
    if len(cloud.points) <= most:
        return cloud
    kept = torch.linspace(0, len(cloud.points) - 1, most).round().long()
    return Cloud(cloud.points[kept], cloud.colours[kept])


def _placed(cam_from_world: Float[Tensor, "4 4"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return orientation (w, x, y, z) and position of a camera in the world."""
    world_from_cam = invert_pose(cam_from_world)
    return tuple(quaternion_from_rotation(world_from_cam[:3, :3]).tolist()), tuple(world_from_cam[:3, 3].tolist())
