"""One HTML file that shows a scene in any browser: it asks for nothing from a network."""

import base64
import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g import __version__
from mvt4g.formats.atomic import appearing
from mvt4g.formats.scene4d import METRES, VIEWS, Scene4D, SceneView
from mvt4g.viz.scene_page.content import Block, PageWorld, checked_view, describe_view, pack_tracks, pack_truth, rounded
from mvt4g.viz.scene_page.pictures import Fineness, encode_views, poster
from mvt4g.viz.scene_page.template import fill, script_json, viewer_file

MAX_BYTES_PER_PIXEL = 12e6 / (81 * 2 * 504 * 288)
"""Of the page, for a pixel of a view's frame: 12 MB for 81 frames of two views of 504x288."""
_LEAST_BUDGET = 1_500_000
"""Bytes for the pictures of a page, however small the videos: little needs no thrift."""


@dataclass(frozen=True)
class ScenePage:
    """What was written.

    Attributes:
        path: The file.
        size_bytes: Its size.
        depth_error: Largest relative error of a depth in it, as measured.
        fineness: What its pictures were stored with.
        num_tracks: Tracks in it.
        tracks_left_out: Tracks of the scene that are not.
    """

    path: Path
    size_bytes: int
    depth_error: float
    fineness: Fineness
    num_tracks: int
    tracks_left_out: int

    def __str__(self) -> str:
        told = f"{self.path} ({self.size_bytes / 1e6:.1f} MB, depth within {100 * self.depth_error:.2g} %"
        if self.tracks_left_out:
            told += f", {self.num_tracks} of {self.num_tracks + self.tracks_left_out} tracks"
        return f"{told})"


def write_scene_page(scene: Scene4D, path: Path, title: str = "") -> ScenePage:
    """Write a scene as one HTML file; it appears whole or not at all.

    Pictures are stored as finely as 12 MB for 81 frames of two views of 504x288 allow, and in proportion for other
    scenes. Depth is stored within 0.5 % at most; what is returned says within how much.

    Args:
        scene: A scene of ``mvt4g lift``; depth that is not finite counts as none.
        path: Where the page goes.
        title: What the page is called; by default the folder it lies in.

    Raises:
        InputError: If a view has no depth at all, or the page cannot be written.
    """
    title = title or path.resolve().parent.name
    views = [checked_view(f"{path}: {name}", view) for name, view in zip(VIEWS, scene.views, strict=True)]
    block = Block()
    content, fineness, depth_error = _content(scene, views, block)
    content["title"] = title
    num_tracks = content["tracks"]["count"] if "tracks" in content else 0
    subtitle = _subtitle(scene, views, num_tracks)
    small = base64.b64encode(poster(views, scene.num_frames // 2)).decode()
    facts = {"title": title, "subtitle": subtitle, "poster": f"data:image/webp;base64,{small}"}
    fields = {
        "version": __version__,
        "title": html.escape(title),
        "subtitle": html.escape(subtitle),
        "facts": html.escape(json.dumps(facts)),
        "style": viewer_file("style.css"),
        "scene": script_json(content),
        "bytes": block.base64(),
        "viewer": viewer_file("viewer.js"),
    }
    with appearing(path) as temporary:
        temporary.write_text(fill(viewer_file("page.html"), fields), encoding="utf-8")
    total = 0 if scene.tracks is None else scene.tracks.visible.shape[-1]
    size = path.stat().st_size
    return ScenePage(path, size, depth_error, fineness, num_tracks, total - num_tracks)


def _content(scene: Scene4D, views: list[SceneView], block: Block) -> tuple[dict[str, Any], Fineness, float]:
    """Return what the viewer is told, how finely pictures are stored, and the largest relative error of depth."""
    world = PageWorld.of(views[0])
    content: dict[str, Any] = {
        "unit": "m" if scene.unit == METRES else "",
        "scale": world.scale,
        "frames": scene.num_frames,
        "times": rounded(scene.times_s - scene.times_s[0]),
    }
    if scene.tracks is not None and scene.tracks.visible.numel():
        content["tracks"] = pack_tracks(scene.tracks, world, block)
    if scene.true_tracks is not None and scene.true_tracks.visible.numel():
        content["truth"] = pack_truth(scene.true_tracks, world, block)
    # Tracks come first: pictures take what they leave of the page.
    pictures, fineness = encode_views(views, _room(views, block.size))
    content["views"] = [
        describe_view(name, view, files, world, block) for name, view, files in zip(VIEWS, views, pictures, strict=True)
    ]
    return content, fineness, max(files.depth_error for files in pictures)


def _room(views: list[SceneView], taken: int) -> int:
    """Return the bytes that pictures may take; base64 makes 4 of 3."""
    num_pixels = sum(view.depth.numel() for view in views)
    characters = MAX_BYTES_PER_PIXEL * num_pixels - len(viewer_file("viewer.js"))
    return round(max(_LEAST_BUDGET, 0.75 * 0.97 * characters - taken))  # 3 % for the page's text and a wrong estimate


def _subtitle(scene: Scene4D, views: list[SceneView], num_tracks: int) -> str:
    sizes = sorted({f"{view.video.shape[2]}×{view.video.shape[1]}" for view in views})
    parts = ["1 frame" if scene.num_frames == 1 else f"{scene.num_frames} frames", " and ".join(sizes)]
    if num_tracks:
        parts.append(f"{num_tracks} tracks")
    residuals = scene.alignment_residual[scene.alignment_residual.isfinite()]
    if len(residuals):
        parts.append(f"depth aligned within {100 * float(residuals.max()):.2g} %")
    return " · ".join(parts)
