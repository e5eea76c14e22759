"""Test-time tuning over the ladder: ``python -m experiments.lifting.tuned RUN`` adds ``tuned.csv`` to a run's folder.

Each clip gets the run's weights, tuned on pairs of its reference alone (with the depth of the rung), as ``mvt4g tune``
does it, but all in one process; then its target view is generated and scored. Rungs that are done are not done again.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.lifting.rungs import TRUE, Generate, depth_at, held_out_batches, score_rungs
from experiments.lifting.score import ByModel
from mvt4g.inference.encoding import depths_of, encode_shown
from mvt4g.inference.lifted_pairs import CameraMoves, show_pairs
from mvt4g.inference.noise import generator_for, name_key
from mvt4g.inference.reader import read_run
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import TARGET, MultiViewClip

NUM_CLIPS = 16
"""Test clips, of those that the other arms are scored on the first."""
RUNGS = (TRUE, "noise:5", "noise:10", "noise:20", "drift:20", "moving:20")
STEPS = 50
WARMUP = 10
PAIRS = 4
"""Of a step, each by a move of its own."""
RATE = 1e-4


class Tuned(Generate):
    """Tunes a copy of a model on each clip, and samples from it."""

    def __init__(self, model: NovelViewModel) -> None:
        self.model = model

    def __call__(self, clip: MultiViewClip, rung: str) -> Float[Tensor, "b t 3 h w"]:
        """Return videos in [0, 1]."""
        videos = []
        for index in range(len(clip.video)):
            one = MultiViewClip.stack([_item(clip, index)])
            with torch.enable_grad():
                model = tune(self.model, one, rung)
            videos.append(ByModel(model)(one, rung)[0])
        return torch.stack(videos)


def tune(base: NovelViewModel, clip: MultiViewClip, rung: str) -> NovelViewModel:
    """Return a model tuned on a batch of one clip."""
    model = copy.deepcopy(base)
    model.backbone.requires_grad_(True)
    view = model.lifted_view
    assert view is not None, "read_run's model is asked for it"
    optimizer = torch.optim.AdamW(model.backbone.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=1e-4)
    loss = DiffusionLoss()
    several = MultiViewClip.stack([_item(clip, 0)] * PAIRS)
    depth = depths_of(several, depth_at(rung), 0)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        draws = generator_for(0, step, name_key(str(clip.name[0])))
        pairs, rendering = show_pairs(several, depth, ("double_reprojection",), CameraMoves(), view.lifting, draws)
        latents, conditions = encode_shown(model, pairs, rendering)
        sigma = model.flow.draw_sigmas(PAIRS, draws)
        noise = torch.randn(latents[:, TARGET].shape, generator=draws)
        passed = model.noisy_pass(latents, pairs.cameras, sigma, noise, conditions)
        total = loss(passed.velocity, passed.target, model.flow.weight(sigma)).mean()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.backbone.parameters(), 1.0)
        optimizer.step()
    return model.requires_grad_(False)


def _item(clip: MultiViewClip, index: int) -> MultiViewClip:
    """Return a clip of a batch, with what pairs and scores ask of it."""
    assert clip.depth is not None
    assert clip.dynamic is not None
    return MultiViewClip(
        video=clip.video[index],
        cameras=clip.cameras[index],
        name=clip.name[index],
        depth=clip.depth[index],
        dynamic=clip.dynamic[index],
    )


def main(args: Sequence[str] | None = None) -> None:
    """Tune on what is missing, and score it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("../steps_to_quality/cache"), help="of the clips")
    options = parser.parse_args(args)
    model = read_run(options.run).model
    batches = list(held_out_batches(options.cache, NUM_CLIPS))
    score_rungs(options.run / "tuned.csv", RUNGS, Tuned(model), batches)


if __name__ == "__main__":
    main()
