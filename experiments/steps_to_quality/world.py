"""How much correspondence matters in a recipe: ``python -m experiments.steps_to_quality.world [RECIPE ...]``.

Prints, over the first held-out clips of each recipe: how often "the same cell" is right in the terms of L_corr (one
point seen in two (view, frame)s, cells of the tiny models' tokens), across views and in time; in how many clips a body
crosses two cells; and PSNR of copying the reference and of warping it by true depth.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.novel_view.baselines import psnr, warp
from experiments.runs import table
from mvt4g.data.kubric import SyntheticClips
from mvt4g.matching.tokens import cell_of_pixels
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

CELL_PX = 8
"""Pixels a token covers on each side: PatchCodec's 4, times the DiT's patch of 2."""
CROSSED_CELLS = 2
"""Cells between two places at which a body's point is seen, from which on it "crosses several"."""


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=["nano", "parallax_nano", "tiny", "parallax"])
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--cache_dir", type=Path, help="where clips are kept, as the runs keep them")
    options = parser.parse_args(args)
    found = {name: measure(name, options.clips, options.cache_dir) for name in options.recipes}
    columns = list(next(iter(found.values())))
    rows = {name: list(figures.values()) for name, figures in found.items()}
    print(f"{options.clips} held-out clips of each recipe, seed 0\n")
    print(table(columns, rows))


def measure(recipe: str, count: int, cache_dir: Path | None = None) -> dict[str, float]:
    """Return the figures of a recipe over its first ``count`` validation clips, as a model is shown them."""
    source = SyntheticClips(RECIPES[recipe](), "val", count, seed=0, cache_dir=cache_dir)
    clips = [source.clip(i).select_views((REFERENCE, TARGET)) for i in range(count)]
    across, in_time = same_cell_shares(clips)
    truth = torch.cat([clip.video[TARGET] for clip in clips])
    copied = torch.cat([clip.video[REFERENCE] for clip in clips])
    warped, filled = zip(*(warp(clip) for clip in clips), strict=True)
    return {
        "same cell across views": across,
        "same cell in time": in_time,
        "clips with a body that crosses": sum(map(body_crosses, clips)) / count,
        "bodies seen": sum(bodies_seen(clip) for clip in clips) / count,
        "copy, dB": psnr(copied, truth),
        "warp by true depth, dB": psnr(torch.cat(warped), truth),
        "the same, unseen = copy, dB": psnr(torch.cat(filled), truth),
    }


def same_cell_shares(clips: Sequence[MultiViewClip]) -> tuple[float, float]:
    """Return in how many terms a point is in the cell of its query, (across views, within a view)."""
    same, terms = torch.zeros(2), torch.zeros(2)
    for clip in clips:
        assert clip.tracks is not None and clip.visible is not None
        views, frames = clip.visible.shape[:2]
        cells, seen = cell_of_pixels(clip.tracks, CELL_PX).flatten(0, 1), clip.visible.flatten(0, 1)
        view = torch.arange(views).repeat_interleave(frames)
        term = seen[:, None] & seen[None] & ~torch.eye(views * frames, dtype=torch.bool)[..., None]
        stays = term & (cells[:, None] == cells[None]).all(dim=-1)
        for kind, of_kind in enumerate((view[:, None] != view, view[:, None] == view)):
            same[kind] += stays[of_kind].sum()
            terms[kind] += term[of_kind].sum()
    across, in_time = (same / terms).tolist()
    return across, in_time


def body_crosses(clip: MultiViewClip) -> bool:
    """Say whether a body's point is seen at two places of one view that are ``CROSSED_CELLS`` apart."""
    assert clip.tracks is not None and clip.visible is not None and clip.point_instance is not None
    on_body = clip.point_instance > 0
    tracks, seen = clip.tracks[:, :, on_body], clip.visible[:, :, on_body]
    moved = (tracks[:, :, None] - tracks[:, None]).norm(dim=-1)
    return bool(moved[seen[:, :, None] & seen[:, None]].max() >= CROSSED_CELLS * CELL_PX)


def bodies_seen(clip: MultiViewClip) -> int:
    """Return how many bodies are seen anywhere."""
    assert clip.instances is not None
    return int((clip.instances.unique() > 0).sum())


if __name__ == "__main__":
    main()
