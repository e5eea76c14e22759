"""Windows over long videos, compared: ``python -m experiments.long_videos.compare``.

Scenes are four times as long as the model's clips. Every arm generates the same scenes from the same noise. "Alone" is
each window by itself, cut hard from one to the next: what the other arms must not fall behind.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.inference import NovelViewGenerator
from mvt4g.inference.window_spec import WindowSpec
from mvt4g.inference.windows import windows_over
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.synthetic.camera_specs import CameraSpec
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.recipes import parallax, parallax_nano
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "steps_to_quality" / "weights"
TIMES = 4
SEED = 22
"""Of the scenes: no training and no other experiment draws from it."""


class Model(NamedTuple):
    """A trained model: configuration, weights, and the recipe that it saw, whose length is its own."""

    config: Path
    weights: str
    scene: SceneSpec

    @property
    def length(self) -> int:
        """Frames of a clip that it was trained on."""
        return self.scene.num_frames

    def long_scene(self) -> SceneSpec:
        """Return its recipe over four times as many frames, with cameras that travel farther."""
        assert isinstance(self.scene.cameras, CameraSpec), "parallax has cameras that travel"
        cameras = replace(self.scene.cameras, travel=(3.0, 8.0))
        return replace(self.scene, num_frames=TIMES * self.length, num_views=2, fps=8.0, cameras=cameras)


MODELS = {
    "nano": Model(HERE / "none.yaml", str(WEIGHTS / "nano-none-0.safetensors"), parallax_nano()),
    "nano_prior": Model(HERE / "prior.yaml", str(WEIGHTS / "nano-prior_corr_gone300-0.safetensors"), parallax_nano()),
    "tiny": Model(HERE.parents[1] / "configs" / "experiment" / "from_base.yaml", "builtin:tiny", parallax()),
}


class Row(NamedTuple):
    """What was measured of one arm, one number a scene.

    Attributes:
        psnr: Mean over frames, dB.
        last: The same over the last window's length.
        seam: Differences of neighbouring frames at seams over those of the truth there.
        inside: The same of all other neighbours; NaN where all are at seams.
        over: Share of the seams whose difference is above the 95th percentile of all the truth's.
        sharp: Differences of neighbouring pixels in a row over those of the truth.
    """

    psnr: list[float]
    last: list[float]
    seam: list[float]
    inside: list[float]
    over: list[float]
    sharp: list[float]


Make = Callable[[MultiViewClip], Float[Tensor, "t 3 h w"]]


def alone(generator: NovelViewGenerator, length: int, overlap: int, steps: int) -> Make:
    """Return what makes windows that know nothing of each other, a frame being that of the first that has it."""

    def make(clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
        video = torch.empty_like(clip.video[TARGET])
        for number, window in reversed([*enumerate(windows_over(len(video), length, overlap))]):
            frames = slice(window.start, window.stop)
            # A name of its own: other windows have other noise.
            name = f"{clip.name}, {number}" if number else str(clip.name)
            cameras = clip.cameras[:, frames]
            made = generator.generate(clip.video[REFERENCE, frames], cameras, name=name, sampler=EulerSampler(steps))
            video[frames] = made.video
        return video

    return make


def in_windows(generator: NovelViewGenerator, spec: WindowSpec, steps: int) -> Make:
    """Return what makes a whole video as ``predict`` does."""

    def make(clip: MultiViewClip) -> Float[Tensor, "t 3 h w"]:
        generator.spec = replace(generator.spec, windows=spec)
        made = generator.generate(clip.video[REFERENCE], clip.cameras, name=str(clip.name), sampler=EulerSampler(steps))
        return made.video

    return make


def differences(video: Float[Tensor, "t 3 h w"]) -> Float[np.ndarray, " pairs"]:
    """Return the mean absolute difference of every two neighbouring frames."""
    return (video[1:] - video[:-1]).abs().mean(dim=(1, 2, 3)).numpy()


def gradients(video: Float[Tensor, "t 3 h w"]) -> float:
    """Return the mean absolute difference of neighbouring pixels in a row."""
    return float((video[..., 1:] - video[..., :-1]).abs().mean())


def seams(num_frames: int, length: int, overlap: int, hard: bool) -> list[int]:
    """Return the pairs of neighbouring frames, by the first, that are not of one window alone.

    Cut hard there is one a seam; faded there is one more for every frame shared.
    """
    pairs: set[int] = set()
    windows = windows_over(num_frames, length, overlap)
    for before, after in itertools.pairwise(windows):
        pairs.update([before.stop - 1] if hard else range(after.start - 1, before.stop))
    return sorted(pairs)


def psnr(video: Float[Tensor, "t 3 h w"], truth: Float[Tensor, "t 3 h w"]) -> Float[np.ndarray, " t"]:
    """Return the PSNR of every frame, dB."""
    error = (video - truth).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).numpy()


def measure(make: Make, clips: Sequence[MultiViewClip], pairs: Sequence[int], last: int, limit: float) -> Row:
    """Return an arm's row.

    Args:
        make: Makes the target view of a clip.
        clips: The scenes.
        pairs: Those at seams.
        last: Frames of the last window.
        limit: The 95th percentile of the truth's differences.
    """
    row = Row([], [], [], [], [], [])
    for clip in clips:
        truth = clip.video[TARGET]
        video = make(clip)
        every = psnr(video, truth)
        is_seam = np.zeros(len(video) - 1, dtype=bool)
        is_seam[list(pairs)] = True
        of_video = differences(video)
        of_truth = differences(truth)
        row.psnr.append(float(every.mean()))
        row.last.append(float(every[-last:].mean()))
        row.seam.append(float(of_video[is_seam].mean() / of_truth[is_seam].mean()))
        inside = ~is_seam
        row.inside.append(float(of_video[inside].mean() / of_truth[inside].mean()) if inside.any() else math.nan)
        row.over.append(float((of_video[is_seam] > limit).mean()))
        row.sharp.append(gradients(video) / gradients(truth))
    return row


def told(values: Sequence[float], base: Sequence[float] | None = None, digits: int = 2) -> str:
    """Return a mean, of differences from ``base`` scene by scene where there is one, with its 95 % interval."""
    scenes = np.asarray(values) - (0 if base is None else np.asarray(base))
    low, high = bootstrap_interval(torch.from_numpy(scenes))
    return f"{scenes.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main(args: Sequence[str] | None = None) -> None:
    """Print a table for every model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args(args)
    for name in options.models:
        model = MODELS[name]
        generator = NovelViewGenerator.from_weights(model.config, model.weights, device="cpu")
        clips = []
        for index in range(options.scenes):
            clips.append(replace(generate_clip(model.long_scene(), SEED, index), name=f"scene {index}"))
        frames = TIMES * model.length
        of_truth = np.concatenate([differences(clip.video[TARGET]) for clip in clips])
        limit = float(np.percentile(of_truth, 95))
        print(f"\n{name}: {options.scenes} scenes of {frames} frames, windows of {model.length}, {options.steps} steps")
        print(f"frame differences of the truth: median {np.median(of_truth):.3f}, 95th percentile {limit:.3f}\n")
        print("| carried, frames shared | PSNR, dB | from windows alone | last window | seam | inside | over | sharp |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for overlap in range(1, math.ceil(model.length / 2) + 1):
            base = None
            for carry in ("alone", "nothing", "noise", "hold", "reference"):
                if carry == "alone":
                    make = alone(generator, model.length, overlap, options.steps)
                else:
                    spec = WindowSpec(model.length, overlap, carry)  # type: ignore[arg-type]
                    make = in_windows(generator, spec, options.steps)
                pairs = seams(frames, model.length, overlap, carry == "alone")
                row = measure(make, clips, pairs, model.length, limit)
                base = base or row
                cells = [
                    told(row.psnr),
                    told(row.psnr, base.psnr),
                    told(row.last, base.last),
                    told(row.seam),
                    f"{np.mean(row.inside):.2f}",
                    f"{np.mean(row.over):.3f}",
                    f"{np.mean(row.sharp):.2f}",
                ]
                print(f"| {carry}, {overlap} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
