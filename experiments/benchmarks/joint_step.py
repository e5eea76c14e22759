"""What the tracking head and L_corr add to a training step, and where the time goes.

    python -m experiments.benchmarks.joint_step [--batch 8] [--points 32] [--repeats 10] [--threads 1]

The demo's model (tiny) on random video: forward, losses, backward and AdamW, with and without L_track and L_corr, in
turn in one process. Parts of the joint step are timed alone, forward and backward each, their shares being of the step.
At inference: sampling with the head there and without it, on the same noise. Times are the CPU's.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from experiments.measure import alternating_seconds, median_ratio, peak_bytes
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.losses.track import TrackLoss
from mvt4g.matching.rows import argmax_matches
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.novel_view import NoisyPass, NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, AttentionTap, Cameras, PointTruth, TapRequest

FRAMES, SIZE, LAYER = 5, 64, 3
TIME_BAR, MEMORY_BAR = 1.35, 1.30


class Step:
    """One training step of the demo's model on random clips."""

    def __init__(self, batch: int, points: int) -> None:
        torch.manual_seed(0)
        codec = PatchCodec(block=4, keep=16, scale="natural")
        sizes = VideoDiTConfig(dim=128, ffn_dim=512, num_heads=4, num_layers=6, query_gain=3.0)
        backbone = ReCamMaster(sizes, codec.grid, [PluckerConditioning()])
        head = TrackingHead(backbone.tap_shape, LAYER)
        self.model = NovelViewModel(backbone, codec, FlowMatching(shift=3.0), head)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.losses = DiffusionLoss(), TrackLoss(), CorrespondenceLoss()
        self.latents = codec.encode(torch.rand(batch, 2, FRAMES, 3, SIZE, SIZE))
        self.noise, self.sigma = torch.randn_like(self.latents[:, 1]), torch.linspace(0.2, 0.9, batch)
        self.cameras = _cameras(batch)
        tracks = torch.rand(batch, 1, 1, points, 2) * SIZE + torch.randn(batch, 2, FRAMES, points, 2) * 3
        self.tracks, self.visible = tracks, ((tracks >= 0) & (tracks < SIZE)).all(dim=-1)
        when = torch.stack([torch.randint(2, (batch, points)), torch.randint(FRAMES, (batch, points))], dim=-1)
        where = tracks[torch.arange(batch)[:, None], when[..., 0], when[..., 1], torch.arange(points)]
        self.queries = torch.cat([when.float(), where.clamp(0, SIZE - 1)], dim=-1)
        valid = torch.ones(batch, points, dtype=torch.bool)
        self.truth = PointTruth(self.queries, tracks, self.visible, valid, torch.arange(FRAMES), (SIZE, SIZE))

    def forward(self, layers: tuple[int, ...] = ()) -> NoisyPass:
        """Run the DiT."""
        return self.model.noisy_pass(self.latents, self.cameras, self.sigma, self.noise, taps=TapRequest(layers))

    def diffusion(self, passed: NoisyPass) -> Tensor:
        """Return L_diff."""
        return self.losses[0](passed.velocity, passed.target, self.model.flow.weight(self.sigma)).mean()

    def track(self, taps: dict[int, AttentionTap]) -> Tensor:
        """Return L_track."""
        prediction = self.model.track(taps, self.queries, self.cameras)
        return self.losses[1](prediction, self.truth).total.mean()

    def corr(self, taps: dict[int, AttentionTap]) -> Tensor:
        """Return L_corr."""
        return self.losses[2](taps, self.truth).total.mean()

    def run(self, track: bool, corr: bool) -> None:
        """Make one step."""
        passed = self.forward((LAYER,) if track or corr else ())
        total = self.diffusion(passed)
        if track:
            total = total + 0.01 * self.track(passed.taps)
        if corr:
            total = total + 1.0 * self.corr(passed.taps)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()

    def parts(self) -> dict[str, Callable[[], object]]:
        """Return the parts of a joint step, each alone on a tap that asks for gradients."""
        with torch.no_grad():
            tap = self.forward((LAYER,)).taps[LAYER]
        tap = replace(tap, query=tap.query.clone().requires_grad_(), key=tap.key.clone().requires_grad_())
        taps, head = {LAYER: tap}, self.model.tracking_head
        assert head is not None
        maps = head.upsampled(tap)
        upsampled = tuple(values.detach().requires_grad_() for values in maps)
        coords = rearrange(self.tracks, "b v f n xy -> b n (v f) xy")
        scales = head.scales(tap, self.queries, *upsampled)
        tokens = torch.randn(*self.visible.shape, head.refiner.embed.in_features)
        context = torch.randn(*self.visible.shape, head.spec.width)
        iterations = head.spec.iterations

        def correlation() -> None:
            loss = sum(head.correlation(scales, coords).square().mean() for _ in range(iterations))
            loss.backward(retain_graph=True)  # type: ignore[union-attr]  # a sum of tensors

        return {
            "L_track": lambda: self.track(taps).backward(),
            "  upsampling": lambda: sum(values.square().mean() for values in head.upsampled(tap)).backward(),  # type: ignore[union-attr]
            "  start": lambda: argmax_matches(tap, self.queries),
            "  scales and patches": lambda: head.scales(tap, self.queries, *upsampled),
            "  correlation and its MLP": correlation,
            "  refiner": lambda: [head.refiner(tokens, context).square().mean().backward() for _ in range(iterations)],
            "L_corr": lambda: self.corr(taps).backward(),
        }


def _cameras(batch: int) -> Cameras:
    pose = torch.eye(4).repeat(batch, 2, FRAMES, 1, 1)
    pose[:, 1, :, 0, 3] = 0.3
    intrinsics = torch.tensor([[60.0, 0, SIZE / 2], [0, 60, SIZE / 2], [0, 0, 1]]).expand(batch, 2, FRAMES, 3, 3)
    return Cameras(pose, intrinsics.contiguous())


def inference(step: Step) -> dict[str, Callable[[], Tensor]]:
    """Return sampling of a novel view by the model with its head and by the same model without one."""
    plain = NovelViewModel(step.model.backbone, step.model.codec, step.model.flow)

    def sample(model: NovelViewModel) -> Tensor:
        with torch.no_grad():
            return model.generate(step.latents[:, REFERENCE], step.cameras, step.noise, EulerSampler(2)).latents

    return {"head off": lambda: sample(step.model), "no head": lambda: sample(plain)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    step = Step(arguments.batch, arguments.points)
    steps: dict[str, Callable[[], object]] = {
        "L_diff": lambda: step.run(track=False, corr=False),
        "L_diff + L_corr": lambda: step.run(track=False, corr=True),
        "L_diff + L_track": lambda: step.run(track=True, corr=False),
        "L_diff + L_track + L_corr": lambda: step.run(track=True, corr=True),
    }
    times = alternating_seconds(steps, arguments.repeats)
    peaks = {name: peak_bytes(call) / 2**20 for name, call in steps.items()}
    size = f"{arguments.batch} clips of 2 x {FRAMES} frames of {SIZE}x{SIZE}, {arguments.points} points"
    print(f"{size}, {arguments.threads} threads; bars: time {TIME_BAR}, memory {MEMORY_BAR}")
    print("Memory: MiB that a step takes beyond weights and optimizer state, at its highest.\n")
    print(f"{'':28}{'median ms':>11}{'least ms':>10}{'time':>8}{'MiB':>8}{'memory':>9}")
    for name in steps:
        line = f"{name:28}{1e3 * statistics.median(times[name]):11.1f}{1e3 * min(times[name]):10.1f}"
        ratio = median_ratio(times, name, "L_diff")
        print(f"{line}{ratio:8.2f}{peaks[name]:8.0f}{peaks[name] / peaks['L_diff']:9.2f}")
    whole = statistics.median(times["L_diff + L_track + L_corr"])
    parts = alternating_seconds(step.parts(), arguments.repeats)
    print(f"\n{'part, alone':28}{'median ms':>11}{'share':>8}")
    for name, values in parts.items():
        middle = statistics.median(values)
        print(f"{name:28}{1e3 * middle:11.1f}{middle / whole:8.2f}")
    sampling = inference(step)
    same = torch.equal(*(call() for call in sampling.values()))
    ratio = median_ratio(alternating_seconds(sampling, arguments.repeats), "head off", "no head")
    print(f"\nsampling, head off / no head: time {ratio:.3f}; videos bit-identical: {same}")


if __name__ == "__main__":
    main()
