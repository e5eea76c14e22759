"""Scores a run, or the warp that needs none, over the ladder: ``python -m experiments.lifting.score RUN | warp``.

``RUN/scores.csv`` gets a row a rung and clip; rungs that are in it are not scored again. A model without a lifted view
looks at no depth, and is scored on the true rung alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.lifting.rungs import RUNGS, SEED, TRUE, Generate, depth_at, held_out_batches, score_rungs
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.inference.encoding import clips_of
from mvt4g.inference.guidance import Guidance, GuidanceSpec
from mvt4g.inference.lifting.video_warper import VideoWarper
from mvt4g.inference.reader import read_run
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import MultiViewClip

STEPS = 4
WARP = "warp"


class ByModel(Generate):
    """Samples from a model."""

    def __init__(self, model: NovelViewModel) -> None:
        self.model = model
        self.guidance = Guidance(GuidanceSpec(), model.backbone.text_shape, model.backbone.image_dim)

    @torch.no_grad()
    def __call__(self, clip: MultiViewClip, rung: str) -> Float[Tensor, "b t 3 h w"]:
        """Return videos in [0, 1]."""
        way = GenerationWay(EulerSampler(STEPS), self.guidance, depth_at(rung))
        return generate_view(self.model, clip, None, way, SEED).video


class ByWarp(Generate):
    """Warps the reference, and fills holes from the nearest pixel."""

    def __call__(self, clip: MultiViewClip, rung: str) -> Float[Tensor, "b t 3 h w"]:
        """Return videos in [0, 1]."""
        warp = VideoWarper(depth_at(rung), LiftingSpec(surface="mesh"), "nearest")
        return torch.stack([warp(one, SEED).image for one in clips_of(clip)])


def main(args: Sequence[str] | None = None) -> None:
    """Score what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="a run's folder, or warp")
    parser.add_argument("--out", type=Path, help="of warp: folder that takes scores.csv")
    parser.add_argument("--cache", type=Path, default=Path("../steps_to_quality/cache"), help="of the clips")
    options = parser.parse_args(args)
    batches = list(held_out_batches(options.cache))
    if options.run == WARP:
        assert options.out is not None, "warp has no folder of its own"
        options.out.mkdir(parents=True, exist_ok=True)
        score_rungs(options.out / "scores.csv", RUNGS, ByWarp(), batches)
        return
    run = Path(options.run)
    model = read_run(run).model
    rungs = [TRUE] if model.lifted_view is None else list(RUNGS)
    score_rungs(run / "scores.csv", rungs, ByModel(model), batches)


if __name__ == "__main__":
    main()
