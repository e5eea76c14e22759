"""What a probe of all layers and heads costs beside a plain pass, and how its memory grows with layers and timesteps.

    python -m experiments.benchmarks.probe [--repeats 5] [--only time | memory]

Times are of one thread's own clock, the smallest of some repeats of both taken in turn, so that a busy machine changes
them little. Memory is what a fresh process needs at its peak beyond that of a plain pass.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from experiments.runs import table
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.probe import CorrespondenceProbe, ProbeSpec
from mvt4g.types import REFERENCE, AttentionTap, Cameras, MultiViewClip, PointTruth, TapRequest

BAR = 1.5


@dataclass(frozen=True)
class Size:
    """A network and its input."""

    dit: VideoDiTConfig
    frames: int
    height: int
    width: int
    batch: int
    queries: int = 64

    @property
    def tokens(self) -> int:
        """Tokens of both views of one clip."""
        return 2 * self.frames * (self.height // 8) * (self.width // 8)


LONG = VideoDiTConfig(num_layers=4, query_gain=3.0)
SIZES = {
    "nano": Size(VideoDiTConfig(dim=96, ffn_dim=384, num_layers=4, query_gain=3.0), 3, 48, 48, 8),
    "tiny": Size(VideoDiTConfig(query_gain=3.0), 5, 64, 64, 8),
    "tiny, one clip": Size(VideoDiTConfig(query_gain=3.0), 5, 64, 64, 1),
    "tiny, 256 queries": Size(VideoDiTConfig(query_gain=3.0), 5, 64, 64, 8, queries=256),
    "17 frames": Size(LONG, 17, 64, 128, 1),
}
MEMORY_SIZE = Size(LONG, 17, 64, 128, 2)


class Passes:
    """A probe on made-up clips, and the passes to compare."""

    def __init__(self, size: Size, num_layers: int | None = None) -> None:
        torch.manual_seed(0)
        codec = PatchCodec()
        config = size.dit if num_layers is None else VideoDiTConfig(num_layers=num_layers, query_gain=3.0)
        spec = ProbeSpec(noise_levels=(0.5,), num_queries=size.queries)
        self.probe = CorrespondenceProbe(ReCamMaster(config, codec.grid), codec, probe=spec).eval()
        self.clip = made_up_clip(size)
        names = tuple(self.clip.name)
        self.latents = codec.encode(self.clip.video)
        self.noise = clip_noise(names, 0, self.latents.shape[2:], self.latents.device)
        self.truth: PointTruth = draw_queries_by_name(self.clip, names, codec.grid, size.queries, 0)
        self.sigma = torch.full((size.batch,), 0.5)

    def plain(self) -> None:
        """Run the model."""
        self.probe.model.noisy_pass(self.latents, self.clip.cameras, self.sigma, self.noise)

    def keeping(self) -> None:
        """Run the model and keep the taps of all layers."""
        self.probe.model.noisy_pass(
            self.latents, self.clip.cameras, self.sigma, self.noise, taps=TapRequest(self.probe.layers)
        )

    def probed(self) -> None:
        """Run the model and read every layer."""

        def read(tap: AttentionTap) -> None:
            self.probe._read(0, self.truth, None, tap)

        self.probe.model.noisy_pass(
            self.latents, self.clip.cameras, self.sigma, self.noise, taps=TapRequest(self.probe.layers, read)
        )

    def sampled(self, steps: int) -> None:
        """Sample in so many steps and read every layer at each."""

        def read(tap: AttentionTap) -> None:
            self.probe._read(0, self.truth, None, tap)

        self.probe.model.generate(
            self.latents[:, REFERENCE],
            self.clip.cameras,
            self.noise,
            EulerSampler(steps),
            taps={step: TapRequest(self.probe.layers, read) for step in range(steps)},
        )


def made_up_clip(size: Size) -> MultiViewClip:
    """Noise for video, and points that wander about."""
    generator = torch.Generator().manual_seed(0)
    shape, points = (size.batch, 2, size.frames), 256
    limit = torch.tensor([size.width, size.height]) - 0.01
    return MultiViewClip(
        video=torch.rand(*shape, 3, size.height, size.width, generator=generator),
        cameras=Cameras(torch.eye(4).expand(*shape, 4, 4), 50 * torch.eye(3).expand(*shape, 3, 3)),
        name=tuple(f"made up {index}" for index in range(size.batch)),
        tracks=torch.rand(*shape, points, 2, generator=generator) * limit,
        visible=torch.rand(*shape, points, generator=generator) < 0.8,
    )


@torch.no_grad()
def times(size: Size, repeats: int) -> tuple[float, float, float]:
    """Return the seconds of a plain pass, of one that hands out all taps, and of one that reads them."""
    passes = Passes(size)
    best = [float("inf")] * 3
    for _ in range(repeats + 1):
        for place, run in enumerate((passes.plain, passes.keeping, passes.probed)):
            start = time.process_time()
            run()
            best[place] = min(best[place], time.process_time() - start)
    return best[0], best[1], best[2]


def beyond_plain(run: Callable[[Passes], None], num_layers: int) -> float:
    """Return the MiB that a fresh process needs for ``run`` at its peak beyond a plain pass."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (run, num_layers))


@torch.no_grad()
def _peak(run: Callable[[Passes], None], num_layers: int) -> float:
    torch.set_num_threads(1)
    passes = Passes(MEMORY_SIZE, num_layers)
    passes.plain()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(passes)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def sampled(passes: Passes) -> None:
    """Read 16 timesteps."""
    passes.sampled(16)


def sampled_briefly(passes: Passes) -> None:
    """Read 4 timesteps."""
    passes.sampled(4)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("time", "memory"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only != "memory":
        rows = {}
        for name, size in SIZES.items():
            plain, keeping, probed = times(size, options.repeats)
            rows[name] = (str(size.tokens), str(size.batch), plain, keeping / plain, probed / plain)
        columns = ("tokens", "clips", "plain pass, s", "taps handed out, times", f"probed, times (at most {BAR})")
        print(table(columns, rows))
    if options.only != "time":
        kept = {f"{n} layers": beyond_plain(Passes.keeping, n) for n in (2, 4, 8, 16)}
        read = {f"{n} layers": beyond_plain(Passes.probed, n) for n in (2, 4, 8, 16)}
        steps = {f"4 layers, {n} timesteps": beyond_plain(run, 4) for n, run in ((4, sampled_briefly), (16, sampled))}
        print(f"\nMiB beyond a plain pass, {MEMORY_SIZE.tokens} tokens, {MEMORY_SIZE.batch} clips\n")
        memory = {name: (f"{kept[name]:.0f}", f"{value:.0f}") for name, value in read.items()}
        memory |= {name: ("", f"{value:.0f}") for name, value in steps.items()}
        print(table(("all taps kept", "probe"), memory))


if __name__ == "__main__":
    main()
