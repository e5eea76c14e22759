"""Tracks that are carried across windows: ``python -m experiments.long_videos.tracks RUN``.

RUN is a run of ``head.yaml``. Points of frame 0 are tracked through videos four times as long as the model's clips, in
the reference and in the generated view, and compared with the truth. Two controls: points that stay where they were at
first, and points that every window is asked for anew where they truly are in its first frame: what carrying loses.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.long_videos.compare import MODELS, SEED, TIMES
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.inference import NovelViewGenerator
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.inference.windows import windows_over
from mvt4g.synthetic.generate import generate_clip
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

NEAR_PX = 4.0
"""Of 48 pixels, half a token: a point that is farther off is lost."""
POINTS = 32


def queries_of(clip: MultiViewClip, frame: int = 0) -> tuple[Float[Tensor, "q 4"], list[int]]:
    """Return the first points that are seen in a frame of the reference, as queries of that frame's window."""
    assert clip.visible is not None and clip.tracks is not None, "a synthetic clip has tracks"
    chosen = clip.visible[REFERENCE, frame].nonzero()[:POINTS, 0].tolist()
    xy = clip.tracks[REFERENCE, frame, chosen]
    moment = torch.zeros(len(chosen), 2)
    return torch.cat([moment, xy], dim=1), chosen


def near(
    found: Float[Tensor, "v t q 2"],
    truth: Float[Tensor, "v t q 2"],
    visible: Bool[Tensor, "v t q"],
) -> Float[np.ndarray, "v t"]:
    """Return the share of the points seen in a view and frame that are found within NEAR_PX; NaN where none is."""
    close = torch.linalg.vector_norm(found - truth, dim=-1) < NEAR_PX
    count = visible.sum(dim=-1)
    return ((close & visible).sum(dim=-1) / torch.where(count > 0, count, torch.nan)).numpy()


def asked_anew(
    generator: NovelViewGenerator, clip: MultiViewClip, windows: Sequence[range]
) -> Float[np.ndarray, "v t"]:
    """Return ``near`` of points that each window is asked for where they truly are in its first frame."""
    assert clip.visible is not None and clip.tracks is not None, "a synthetic clip has tracks"
    shares = np.full(clip.visible.shape[:2], np.nan)
    for window in reversed(windows):
        frames = slice(window.start, window.stop)
        queries, chosen = queries_of(clip, window.start)
        if not chosen:
            continue
        video = clip.video[REFERENCE, frames]
        made = generator.generate(video, clip.cameras[:, frames], queries, sampler=EulerSampler(4), name=str(clip.name))
        assert made.tracks is not None, "the run has a head"
        shares[:, frames] = near(
            made.tracks, clip.tracks[:, frames][:, :, chosen], clip.visible[:, frames][:, :, chosen]
        )
    return shares


def main(args: Sequence[str] | None = None) -> None:
    """Print the share of points that are still followed, by window."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--overlap", type=int, default=1)
    options = parser.parse_args(args)
    model = MODELS["nano_prior"]
    generator = NovelViewGenerator.from_run(options.run, device="cpu")
    windows = windows_over(TIMES * model.length, model.length, options.overlap)
    generator.spec = replace(generator.spec, windows=WindowSpec(model.length, options.overlap))
    shares = []
    still = []
    anew = []
    for index in range(options.scenes):
        clip = replace(generate_clip(model.long_scene(), SEED, index), name=f"scene {index}")
        queries, chosen = queries_of(clip)
        assert clip.visible is not None and clip.tracks is not None, "a synthetic clip has tracks"
        made = generator.generate(
            clip.video[REFERENCE], clip.cameras, queries, sampler=EulerSampler(4), name=str(clip.name)
        )
        assert made.tracks is not None, "the run has a head"
        truth = clip.tracks[:, :, chosen]
        visible = clip.visible[:, :, chosen]
        shares.append(near(made.tracks, truth, visible))
        unmoved = queries[:, 2:].expand_as(truth)
        still.append(near(unmoved, truth, visible))
        anew.append(asked_anew(generator, clip, windows))
    found = np.nanmean(np.stack(shares), axis=0)
    control = np.nanmean(np.stack(still), axis=0)
    afresh = np.nanmean(np.stack(anew), axis=0)
    print(
        f"{options.scenes} scenes, {POINTS} points; share within {NEAR_PX:g} px of the truth, and of points that stay"
    )
    print("| window | frames | reference | asked anew | it stays | generated | asked anew | it stays |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    stop = 0
    for number, window in enumerate(windows):
        own = slice(stop, window.stop)
        cells = []
        for view in (REFERENCE, TARGET):
            for table in (found, afresh, control):
                cells.append(f"{table[view, own].mean():.2f}")
        print(f"| {number + 1} | {own.start} to {own.stop - 1} | {' | '.join(cells)} |")
        stop = window.stop


if __name__ == "__main__":
    main()
