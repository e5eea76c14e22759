"""Clips on one picture: a row a clip, its views at the last frame with the tracks that lead there."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.types import MultiViewClip
from mvt4g.viz.canvas import magnification, magnify, to_image
from mvt4g.viz.colours import rainbow_by_row
from mvt4g.viz.tiles import tile_images
from mvt4g.viz.tracks import draw_tracks_at, with_track_legend

MAX_VIEWS = 4
MAX_POINTS = 96


def draw_row(clip: MultiViewClip) -> list[Float[Tensor, "3 _ _"]]:
    """Draw up to MAX_VIEWS views of a clip at its last frame, with up to MAX_POINTS of its points."""
    last = clip.video.shape[1] - 1
    images = list(clip.video[:MAX_VIEWS, last])
    if clip.tracks is None or clip.visible is None:
        return [magnify(image, magnification(*image.shape[-2:])) for image in images]
    ever_visible = clip.visible.any(dim=0).any(dim=0).nonzero()[:, 0]
    # Evenly spread over the points that are ever visible: neighbours in the list often lie on one body.
    number = min(len(ever_visible), MAX_POINTS)
    drawn = ever_visible[torch.linspace(0, len(ever_visible) - 1, number).round().long()]
    tracks = clip.tracks[:, :, drawn]
    visible = clip.visible[:, :, drawn]
    colours = rainbow_by_row(tracks[0])
    pictures = []
    for view, image in enumerate(images):
        pictures.append(draw_tracks_at(image, last, tracks[view], visible[view], colours=colours))
    return pictures


def write_sheet(path: Path, rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]], names: Sequence[str]) -> None:
    """Write rows of pictures under the names of their clips as a PNG, over a legend of the marks of tracks.

    Raises:
        InputError: If the place cannot be written to.
    """
    captions = []
    for name, row in zip(names, rows, strict=True):
        captions.append([name, *(f"view {view}" for view in range(1, len(row)))])
    with appearing(path) as temporary:
        to_image(with_track_legend(tile_images(rows, captions))).save(temporary, format="PNG")
