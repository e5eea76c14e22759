"""Draw docs/pictures/{method,conventions}.svg: ``python scripts/draw_figures.py``.

The frames in the method's figure are those of a synthetic clip with its true tracks, rendered here. Colours follow the
reader's light or dark setting.
"""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FRAME = 108
"""Side of a frame in the figure."""
SHOWN_FRAMES = (0, 2, 4)
CLIP_INDEX = 3
COLOURS = ("#e8590c", "#2f9e44", "#1971c2", "#ae3ec9")
"""One a point."""
MATCHED = 0
"""Which of them the attention map is drawn for."""
STYLE = """<style>
  .ground { fill: #ffffff; } .ink { fill: #1f2328; } .soft { fill: #59636e; }
  .box { fill: #f1f3f5; stroke: #868e96; } .tap { fill: #fff3bf; stroke: #e67700; } .tapink { fill: #a35200; }
  .loss { fill: #e7f5ff; stroke: #1971c2; } .lossink { fill: #1864ab; }
  .line { stroke: #495057; fill: none; } .faint { stroke: #adb5bd; fill: none; } .head { fill: #495057; }
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9198a1; }
    .box { fill: #212830; stroke: #6e7781; } .tap { fill: #4d3800; stroke: #f0b429; } .tapink { fill: #ffd866; }
    .loss { fill: #0c2d4f; stroke: #58a6ff; } .lossink { fill: #a5d0ff; }
    .line { stroke: #adb5bd; } .faint { stroke: #57606a; } .head { fill: #adb5bd; }
  }
</style>"""


class Drawing:
    """SVG elements in the order in which they are drawn."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size, self.parts = (width, height), [f"<title>{escape(title)}</title>", STYLE]
        marker = (
            '<marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        )
        self.parts.append(f'<defs>{marker}<path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>')
        self.box(0, 0, width, height, kind="ground", radius=10)

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box", radius: float = 6) -> None:
        """Draw a rectangle with round corners."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "ink", size: float = 13, anchor: str = "middle",
             bold: bool = False) -> None:  # fmt: skip
        """Write words, a line for each line."""
        weight = ' font-weight="600"' if bold else ""
        for row, line in enumerate(words.splitlines()):
            place = f'x="{x:g}" y="{y + row * size * 1.3:g}" font-size="{size:g}" text-anchor="{anchor}"{weight}'
            self.parts.append(f'<text class="{kind}" {place}>{escape(line)}</text>')

    def line(self, points: Sequence[tuple[float, float]], kind: str = "line", arrow: bool = True, dashed: bool = False,
             width: float = 1.6) -> None:  # fmt: skip
        """Draw a line through points, with an arrow's head at the last."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        extra = (' marker-end="url(#arrow)"' if arrow else "") + (' stroke-dasharray="5 4"' if dashed else "")
        self.parts.append(f'<polyline class="{kind}" stroke-width="{width:g}" points="{path}"{extra}/>')

    def dot(self, x: float, y: float, colour: str, radius: float = 3.4) -> None:
        """Draw a dot with a white rim."""
        style = f'fill="{colour}" stroke="#ffffff" stroke-width="1"'
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" {style}/>')

    def stroke(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.8) -> None:
        """Draw a line through points in one colour."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>')

    def picture(self, x: float, y: float, side: float, image: Tensor, opacity: float = 1) -> None:
        """Draw a frame (c h w) in [0, 1]."""
        pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG", quality=88)
        data = base64.b64encode(held.getvalue()).decode()
        place = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" opacity="{opacity:g}"'
        self.parts.append(f'<image {place} href="data:image/jpeg;base64,{data}"/>')

    def cell(self, x: float, y: float, side: float, strength: float) -> None:
        """Draw a cell of an attention map."""
        place = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"'
        self.parts.append(f'<rect {place} fill="#ffd43b" opacity="{strength:.2f}"/>')

    def save(self, path: Path) -> None:
        """Write the drawing."""
        width, height = self.size
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        path.write_text("\n".join([head, *self.parts, "</svg>"]) + "\n")


def chosen_points(clip: MultiViewClip) -> list[int]:
    """Return points that are seen in all frames of both views: those that move most, not too near one another."""
    assert clip.tracks is not None
    assert clip.visible is not None
    seen = clip.visible.all(dim=1).all(dim=0)
    moved = (clip.tracks[REFERENCE, -1] - clip.tracks[REFERENCE, 0]).norm(dim=-1).where(seen, -1)
    chosen: list[int] = []
    for point in moved.argsort(descending=True).tolist():
        place = clip.tracks[REFERENCE, 0, point]
        far = all((clip.tracks[REFERENCE, 0, other] - place).norm() > clip.video.shape[-1] / 6 for other in chosen)
        if seen[point] and far:
            chosen.append(point)
        if len(chosen) == len(COLOURS):
            break
    return chosen


def draw_row(
    art: Drawing, clip: MultiViewClip, shown: Sequence[tuple[int, int]], x: float, y: float, points: Sequence[int] = ()
) -> None:
    """Draw frames (view, frame) one beside another, with the tracks of some points up to each frame."""
    assert clip.tracks is not None
    scale = FRAME / clip.video.shape[-1]
    for column, (view, frame) in enumerate(shown):
        left = x + column * (FRAME + 6)
        art.picture(left, y, FRAME, clip.video[view, frame])
        for colour, point in zip(COLOURS, points, strict=False):
            way = (clip.tracks[view, : frame + 1, point] * scale).tolist()
            places = [(left + px, y + py) for px, py in way]
            art.stroke(places, colour)
            art.dot(*places[-1], colour)


def draw_match(art: Drawing, clip: MultiViewClip, point: int, x: float, y: float) -> None:
    """Draw a query point in the reference and, over the target's frame, an attention map that finds it."""
    assert clip.tracks is not None
    scale, cells = FRAME / clip.video.shape[-1], 8
    (qx, qy), (tx, ty) = ((clip.tracks[view, 0, point] * scale).tolist() for view in (REFERENCE, TARGET))
    art.picture(x, y, FRAME, clip.video[REFERENCE, 0])
    right = x + FRAME + 44
    art.picture(right, y, FRAME, clip.video[TARGET, 0], opacity=0.6)
    side = FRAME / cells
    for row in range(cells):
        for column in range(cells):
            off = ((column + 0.5) * side - tx) ** 2 + ((row + 0.5) * side - ty) ** 2
            strength = 0.95 * np.exp(-off / (2 * (0.9 * side) ** 2))
            if strength > 0.02:
                art.cell(right + column * side, y + row * side, side, strength)
    art.line([(x + qx + 5, y + qy), (right + tx - 6, y + ty)])
    art.dot(x + qx, y + qy, COLOURS[MATCHED], 4.5)
    art.dot(right + tx, y + ty, COLOURS[MATCHED], 4.5)


def draw_method(path: Path) -> None:
    """Draw what goes in, the DiT with a tap, and the three losses."""
    clip = generate_clip(SceneSpec(image_size=(216, 216)), seed=0, index=CLIP_INDEX)
    points = chosen_points(clip)
    art = Drawing(
        1180, 560, "MVTrack4Gen: taps of a video DiT's attention feed a tracking head and a loss on the attention"
    )
    row = 3 * FRAME + 12
    art.text(24, 34, "Given", bold=True, size=15, anchor="start")
    art.text(24, 62, "reference video", "soft", anchor="start")
    draw_row(art, clip, [(REFERENCE, frame) for frame in SHOWN_FRAMES], 24, 72)
    art.text(24, 214, "target camera's path", "soft", anchor="start")
    draw_cameras(art, 24, 224)
    art.text(
        24,
        372,
        "noise in the place of the target video\n(in training: the true target video, noised)",
        "soft",
        anchor="start",
    )
    rng = np.random.default_rng(0)
    for column in range(3):
        noise = rng.normal(0.5, 0.2, (3, 24, 24)).clip(0, 1)
        art.picture(24 + column * (FRAME + 6), 404, FRAME, Tensor(noise))
    dit = 452
    art.text(dit, 34, "Video DiT", bold=True, size=15, anchor="start")
    art.text(dit, 62, "attention over the tokens\nof both videos", "soft", anchor="start")
    blocks = [
        (108, "block 0", "box"),
        (164, "block 1", "box"),
        (220, "...", ""),
        (250, "block l", "tap"),
        (318, "...", ""),
        (348, "last block", "box"),
    ]
    for top, name, kind in blocks:
        if kind:
            art.box(dit, top, 168, 46 if kind == "box" else 58, kind)
        art.text(
            dit + 84, top + (28 if kind == "box" else 24 if kind else 14), name, "tapink" if kind == "tap" else "ink"
        )
    art.text(dit + 84, 296, "queries q, keys k", "tapink", size=12)
    art.line([(24 + row + 8, 126), (dit - 8, 126)])
    art.line([(24 + row + 8, 274), (dit - 30, 274), (dit - 30, 150), (dit - 8, 150)], arrow=True)
    art.line([(24 + row + 8, 458), (dit - 16, 458), (dit - 16, 138), (dit - 8, 138)], arrow=True)
    side = 700
    art.text(side, 34, "Learnt from", bold=True, size=15, anchor="start")
    art.line([(dit + 168, 270), (dit + 190, 270), (dit + 190, 128), (side - 8, 128)])
    art.line([(dit + 168, 286), (side - 8, 286)])
    art.text(dit + 200, 272, "tap", "tapink", size=14, bold=True, anchor="start")
    art.line([(dit + 84, 394), (dit + 84, 458), (side - 8, 458)])
    art.text(side, 62, "the attention map, read off the tap", "soft", anchor="start")
    draw_match(art, clip, points[MATCHED], side, 72)
    loss_box(art, 1072, 96, "L_corr", "the true cell\nshould win")
    art.text(side, 214, "the tracking head: tracks in both videos", "soft", anchor="start")
    both = [(REFERENCE, 0), (REFERENCE, SHOWN_FRAMES[-1]), (TARGET, SHOWN_FRAMES[-1])]
    draw_row(art, clip, both, side, 224, points)
    for column, words in enumerate(("query points", "reference", "target")):
        art.text(side + column * (FRAME + 6) + FRAME / 2, 347, words, "soft", size=11)
    loss_box(art, 1072, 248, "L_track", "tracks, visible,\nconfident")
    art.text(side, 372, "the novel view", "soft", anchor="start")
    draw_row(art, clip, [(TARGET, frame) for frame in SHOWN_FRAMES], side, 404)
    loss_box(art, 1072, 428, "L_diff", "the target\nvideo")
    total = "L = L_diff + 0.01 L_track + 0.01 L_corr.   At inference: no depth, no reconstruction, no true tracks."
    art.text(1180 / 2, 542, total, size=14)
    art.save(path)


def loss_box(art: Drawing, x: float, y: float, name: str, what: str) -> None:
    """Draw what a loss asks for."""
    art.box(x, y, 92, 62, "loss")
    art.text(x + 46, y + 21, name, "lossink", bold=True)
    art.text(x + 46, y + 37, what, "lossink", size=10.5)


def draw_cameras(art: Drawing, x: float, y: float) -> None:
    """Draw a still camera and one that moves on an arc, both looking at a body."""
    middle = (x + 168, y + 30)
    art.parts.append(f'<circle cx="{middle[0]}" cy="{middle[1]}" r="13" fill="{COLOURS[1]}"/>')
    art.text(x + 18, y + 102, "reference", "soft", size=11, anchor="start")
    draw_camera(art, (x + 100, y + 92), middle, "box")
    places = [(x + 180, y + 104), (x + 228, y + 98), (x + 268, y + 80)]
    art.line(places, dashed=True)
    for place in places:
        draw_camera(art, place, middle, "tap")
    art.text(x + 284, y + 100, "target", "soft", size=11, anchor="start")


def draw_camera(art: Drawing, place: tuple[float, float], at: tuple[float, float], kind: str) -> None:
    """Draw a camera from above, as a triangle that opens to what it looks at."""
    eye = np.array(place)
    forward = np.array(at) - eye
    forward = forward / np.linalg.norm(forward)
    aside = np.array([-forward[1], forward[0]])
    corners = [eye, eye + 20 * forward + 10 * aside, eye + 20 * forward - 10 * aside]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    art.parts.append(f'<polygon class="{kind}" points="{path}"/>')


def draw_conventions(path: Path) -> None:
    """Draw the camera's axes, two cameras and their transforms, and pixel centres under a latent cell."""
    art = Drawing(1100, 380, "Camera axes, transforms between frames, pixel centres and latent cells")
    art.text(24, 34, "Camera frame (OpenCV)", bold=True, size=15, anchor="start")
    origin = (96, 120)
    art.line([origin, (236, 120)], width=2.4)
    art.text(246, 125, "x right", anchor="start")
    art.line([origin, (96, 260)], width=2.4)
    art.text(96, 282, "y down")
    art.line([origin, (186, 66)], width=2.4)
    art.text(194, 66, "z forward, = depth", anchor="start")
    art.dot(*origin, COLOURS[2], 5)
    art.text(84, 108, "camera\ncentre", "soft", size=12, anchor="end")
    art.text(24, 330, "right-handed; lengths in scene units", "soft", anchor="start")
    left = 400
    art.text(left, 34, "a_from_b takes points of b to a", bold=True, size=15, anchor="start")
    for x, y, name in (
        (left + 10, 90, "world"),
        (left + 10, 230, "reference camera"),
        (left + 200, 230, "target camera"),
    ):
        art.box(x, y, 130, 44)
        art.text(x + 65, y + 27, name, size=12.5)
    art.line([(left + 60, 134), (left + 60, 226)])
    art.text(left + 68, 184, "cam_from_world", "tapink", size=12, anchor="start")
    art.line([(left + 140, 112), (left + 265, 112), (left + 265, 226)])
    art.text(left + 155, 102, "cam_from_world", "tapink", size=12, anchor="start")
    art.line([(left + 140, 252), (left + 196, 252)])
    art.text(left + 8, 302, "target_from_reference =\ntarget_from_world @ world_from_reference", "tapink", size=12,
             anchor="start")  # fmt: skip
    art.text(left + 8, 346, "view 0 = reference, view 1 = target", "soft", size=12, anchor="start")
    draw_pixels(art, 770)
    art.save(path)


def draw_pixels(art: Drawing, left: float) -> None:
    """Draw pixels with their centres, and a latent cell of four by four of them."""
    side, top = 30, 84
    art.text(left, 34, "Pixels (x, y), centres at i + 0.5", bold=True, size=15, anchor="start")
    for row in range(6):
        for column in range(8):
            kind = "tap" if row < 4 and column < 4 else "box"
            art.box(left + column * side, top + row * side, side, side, kind, radius=0)
            centre = f'cx="{left + (column + 0.5) * side:g}" cy="{top + (row + 0.5) * side:g}"'
            art.parts.append(f'<circle class="head" {centre} r="1.6"/>')
    art.text(left - 4, top - 8, "(0, 0)", "soft", size=12)
    art.dot(left, top, COLOURS[2], 4)
    art.dot(left + side / 2, top + side / 2, COLOURS[0], 4)
    art.line([(left + 250, top + 15), (left + side / 2 + 7, top + 15)], kind="faint")
    art.text(left + 254, top + 19, "(0.5, 0.5)", size=12, anchor="start")
    art.dot(left + 2 * side, top + 2 * side, COLOURS[3], 4.5)
    art.line([(left + 250, top + 2 * side), (left + 2 * side + 7, top + 2 * side)], kind="faint")
    art.text(left + 254, top + 2 * side + 4, "(2, 2)", size=12, anchor="start")
    cell = "orange: latent cell (0, 0) of stride s = 4,\nits centre at (0.5 s, 0.5 s) = (2, 2)"
    art.text(left, top + 6 * side + 24, cell, "tapink", size=12, anchor="start")
    art.text(left, top + 6 * side + 66, "resizing is a pure scale of (x, y)", "soft", size=12, anchor="start")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    draw_method(PICTURES / "method.svg")
    draw_conventions(PICTURES / "conventions.svg")
