"""How near a sample comes to the one of very many evaluations, by sampler, noise levels and number of evaluations.

    python -m experiments.sampling.run [--clips 6] [--seeds 3] [--models NAME ...]

Models are two finished nano runs of ``experiments/steps_to_quality``, whose weights lie there; ``base`` does it for the
base that the package ships. Every row of ``scores.csv`` is one setting on one seed of noise, the mean over held-out
clips; a row that is there is not made again.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.tables import read_rows
from mvt4g.data.kubric import SyntheticClips
from mvt4g.diffusion.diffusers_sampler import DiffusersSampler
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import AdamsSampler, BlockReuse, EulerSampler, HeunSampler, Sampler
from mvt4g.inference.noise import clip_noise
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.lapped_codec import LappedCodec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

HERE = Path(__file__).parent
SCORES = HERE / "scores.csv"
WEIGHTS = HERE.parent / "steps_to_quality" / "weights"
SHIPPED = "builtin:tiny"
RECIPE = "parallax_nano"
SAMPLERS: dict[str, Callable[[int], Sampler]] = {
    "euler": EulerSampler,
    "adams": AdamsSampler,
    "heun": HeunSampler,
    "unipc": partial(DiffusersSampler, scheduler="unipc"),
    "dpmpp": partial(DiffusersSampler, scheduler="dpmpp"),
}
TRAINED_SHIFT = 3.0
EVALUATIONS = (2, 4, 8, 16, 32)
OTHER_SHIFTS = (1.0, 2.0, 5.0)
AT_OTHER_SHIFTS = (("euler", "adams", "dpmpp"), (4, 8, 16))
"""Samplers and evaluations there."""
REUSES = ((1, 2), (2, 2), (3, 2), (2, 3), (2, 4))
"""The first block that stands still, of four, and of how many evaluations one runs it."""
REUSED_EVALUATIONS = 16
CONVERGED_STEPS = 48
"""Steps of Heun's method whose sample is taken for the end of the path."""


@dataclass(frozen=True)
class Setting:
    """One way to sample.

    Attributes:
        sampler: Of ``SAMPLERS``.
        steps: Of it.
        shift: Of the noise levels.
        first: The first block that stands still; 0 = none does.
        every: Of so many evaluations one runs all blocks.
    """

    sampler: str
    steps: int
    shift: float
    first: int = 0
    every: int = 1

    def build(self) -> Sampler:
        """Return the sampler."""
        built = SAMPLERS[self.sampler](self.steps)
        if self.first:
            built.reuse = BlockReuse(self.first, self.every)
        return built


@dataclass(frozen=True)
class Scores:
    """Figures of one setting on one seed of noise; decibels are means over clips.

    Attributes:
        evaluations: Of the network.
        cost: The same in evaluations of all blocks, counted by the blocks that ran.
        to_converged_db: PSNR to the sample of the same noise at very many evaluations.
        to_truth_db: PSNR to the true target view.
        sharpness: Mean absolute difference of neighbouring pixels, over that of the truth.
    """

    evaluations: int
    cost: float
    to_converged_db: float
    to_truth_db: float
    sharpness: float


def settings() -> Iterator[Setting]:
    """Yield every setting, the plain ones first."""
    for count in EVALUATIONS:
        for sampler in SAMPLERS:
            # Heun's last step takes one evaluation, each other two.
            yield Setting(sampler, count // 2 + 1 if sampler == "heun" else count, TRAINED_SHIFT)
    yield from reuse_settings()
    yield from shifted_settings()


def reuse_settings() -> Iterator[Setting]:
    """Yield those in which late blocks stand still."""
    for first, every in REUSES:
        for sampler in ("euler", "adams"):
            yield Setting(sampler, REUSED_EVALUATIONS, TRAINED_SHIFT, first, every)


def shifted_settings() -> Iterator[Setting]:
    """Yield those at noise levels other than the trained ones."""
    samplers, counts = AT_OTHER_SHIFTS
    for shift in OTHER_SHIFTS:
        for count in counts:
            for sampler in samplers:
                yield Setting(sampler, count, shift)


def load(name: str) -> NovelViewModel:
    """Build a nano model of the finished runs, by the arm's name, or the base that the package ships."""
    extra: list[CameraConditioning] = [PluckerConditioning()]
    if name == SHIPPED:
        lapped = LappedCodec(block=8, keep=64)
        # As configs/codec/lapped.yaml has it.
        sizes = replace(VideoDiTConfig.tiny(), query_gain=3.0, in_channels=64, out_channels=64, patch_size=(1, 1, 1))
        backbone = ReCamMaster(sizes, lapped.grid, extra, weights=Path(SHIPPED))
        flow = FlowMatching(shift=TRAINED_SHIFT, prediction="sample")
        return NovelViewModel(backbone, lapped, flow).eval().requires_grad_(False)
    codec = PatchCodec(scale="natural")
    if name.startswith("prior"):
        extra.append(EpipolarConditioning(width=0.5, initial_gain=3.0))
    dit = replace(VideoDiTConfig.nano(), query_gain=3.0)
    backbone = ReCamMaster(dit, codec.grid, extra, weights=WEIGHTS / f"nano-{name}-0.safetensors")
    return NovelViewModel(backbone, codec, FlowMatching(shift=TRAINED_SHIFT)).eval().requires_grad_(False)


class Bench:
    """One model on held-out clips with the noise of one seed."""

    def __init__(self, model: NovelViewModel, clips: list[MultiViewClip], seed: int) -> None:
        self.model = model
        batch = MultiViewClip.stack(clips)
        self.cameras = batch.cameras
        self.truth = batch.video[:, TARGET]
        self.reference = model.codec.encode(batch.video[:, REFERENCE])
        self.noise = clip_noise(batch.name, seed, self.reference.shape[1:], self.reference.device)
        self.blocks = 0
        self.evaluations = 0
        for block in model.backbone.shard_units():
            block.register_forward_hook(self._count_block)
        model.backbone.register_forward_hook(self._count_evaluation)
        converged = Setting("heun", CONVERGED_STEPS, TRAINED_SHIFT)
        self.converged = self.sample(converged)

    def sample(self, setting: Setting) -> Float[Tensor, "b t 3 h w"]:
        """Return the videos of one setting, and count what they took."""
        self.model.flow = replace(self.model.flow, shift=setting.shift)
        self.blocks = self.evaluations = 0
        made = self.model.generate(self.reference, self.cameras, self.noise, setting.build())
        return self.model.codec.decode(made.latents).clamp(0, 1)

    def score(self, setting: Setting) -> Scores:
        """Return the figures of one setting."""
        video = self.sample(setting)
        return Scores(
            evaluations=self.evaluations,
            cost=self.blocks / self.model.backbone.num_layers,
            to_converged_db=psnr(video, self.converged),
            to_truth_db=psnr(video, self.truth),
            sharpness=sharpness(video) / sharpness(self.truth),
        )

    def _count_block(self, *_: object) -> None:
        self.blocks += 1

    def _count_evaluation(self, *_: object) -> None:
        self.evaluations += 1


def psnr_of_clips(video: Float[Tensor, "b t 3 h w"], truth: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, " b"]:
    """Return each clip's PSNR, dB."""
    return -10 * (video - truth).square().flatten(1).mean(dim=1).log10()


def psnr(video: Float[Tensor, "b t 3 h w"], truth: Float[Tensor, "b t 3 h w"]) -> float:
    """Return the mean over clips of each clip's PSNR, dB."""
    return float(psnr_of_clips(video, truth).mean())


def sharpness(video: Float[Tensor, "b t 3 h w"]) -> float:
    """Return the mean absolute difference of neighbouring pixels."""
    across = (video[..., 1:] - video[..., :-1]).abs().mean()
    down = (video[..., 1:, :] - video[..., :-1, :]).abs().mean()
    return float((across + down) / 2)


def main() -> None:
    """Make the rows that are missing."""
    parser = argparse.ArgumentParser(description="Quality over evaluations.")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["prior_corr_gone300", "none"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    keys = ["model", "seed", *Setting.__dataclass_fields__]
    done = {tuple(row[key] for key in keys) for row in read_rows(SCORES)}
    for name in args.models:
        source = SyntheticClips(RECIPES[RECIPE](), "val", args.clips, seed=0)
        clips = [source.clip(number).select_views((REFERENCE, TARGET)) for number in range(args.clips)]
        for seed in range(args.seeds):
            bench = None
            for setting in settings():
                key = tuple(str(value) for value in (name, seed, *asdict(setting).values()))
                if key in done:
                    continue
                bench = bench or Bench(load(name), clips, seed)
                append({"model": name, "seed": seed, **asdict(setting), **asdict(bench.score(setting))})
            sys.stdout.write(f"{name}, seed {seed}: done\n")
            sys.stdout.flush()


def append(row: Mapping[str, object]) -> None:
    """Add a row to ``scores.csv``, at once: the next start goes on behind it."""
    values = {**row}
    for name in ("to_converged_db", "to_truth_db", "sharpness"):
        values[name] = f"{values[name]:.4f}"
    new = not SCORES.exists()
    with SCORES.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(values))
        if new:
            writer.writeheader()
        writer.writerow(values)


if __name__ == "__main__":
    main()
