"""What scoring one video costs: CPU seconds of every metric, and how many of them its networks' forwards take.

    python -m experiments.benchmarks.score_cost [--frames 81] [--size 480 832] [--presets synthetic redirector]

Every member of the presets that runs without weights, or on networks with random weights, scores one video of which
everything is known. Metrics that share their work are one row. A second column times the forwards of the networks
alone, a third counts them; the last is the largest memory of the process so far, networks' files being read before
the first row. One thread; the clip is that of ``score_memory``.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from experiments.benchmarks.score_memory import KIB, waves
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.metrics.collection import ASKED
from mvt4g.metrics.networks.frozen_net import FrozenNet
from mvt4g.metrics.presets import MEMBERS, build_metrics
from mvt4g.metrics.shared_work import by_work, update_group
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import GeneratedVideos, ViewRecord

TIMM_FILES = {
    "dino_vits16": "vit_small_patch16_224.dino",
    "dino_vitb16": "vit_base_patch16_224.dino",
    "clip_vitb32": "vit_base_patch32_clip_quickgelu_224.openai",
    "clip_vitl14": "vit_large_patch14_clip_quickgelu_224.openai",
}
"""Architectures of timm's by the name of the file that holds them."""


def random_networks() -> Iterator[tuple[str, nn.Module]]:
    """Yield the networks that metrics look through, by the names of their files; weights are random."""
    import timm
    import torchvision

    from mvt4g.metrics.networks.musiq import MusiqNet

    for name, architecture in TIMM_FILES.items():
        yield name, timm.create_model(architecture, pretrained=False, dynamic_img_size=True)
    yield "aesthetic_head", nn.Linear(768, 1)
    yield "musiq_spaq", MusiqNet()
    yield "raft", torchvision.models.optical_flow.raft_large(weights=None)
    yield "alexnet", torchvision.models.alexnet(weights=None)


def write_weights(folder: Path) -> MetricWeights:
    """Write a file of random weights for every network that works on the frames of one video."""
    torch.manual_seed(0)
    files = {}
    for name, net in random_networks():
        files[name] = folder / f"{name}.pth"
        torch.save(net.state_dict(), files[name])
    return MetricWeights(**files)


def everything_known(frames: int, size: tuple[int, int]) -> GeneratedVideos:
    """Return a video of which all is known that presets ask for."""
    lens = intrinsics_from_fov(1.0, *size).expand(1, frames, 3, 3)
    depth = torch.full((1, frames, *size), 4.0)
    moving = torch.zeros(1, frames, *size, dtype=torch.bool)
    moving[:, :, : size[0] // 3] = True
    still = torch.eye(4).expand(1, frames, 4, 4)
    path = benchmark_trajectory("cam01", frames)[None]
    shown = (255 * waves(frames, *size, 0.3)).byte()[None]
    source = (255 * waves(frames, *size, 0.0)).byte()[None]
    return GeneratedVideos(
        names=("video",),
        video=shown,
        target=ViewRecord(shown.roll(1, dims=-1), depth, invert_pose(path), lens, moving),
        reference=ViewRecord(source, depth, still, lens, moving),
        mask=~moving,
        pred_world_from_cam=path,
        registered=torch.ones(1, frames, dtype=torch.bool),
        fps=torch.tensor([24.0]),
    )


@dataclass
class Clock:
    """CPU seconds and calls of the networks so far."""

    seconds: float = 0.0
    calls: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time every forward of a network within the block; colour patches are none."""
        whole = FrozenNet.forward

        def timed(net: FrozenNet, *inputs: Any, **options: Any) -> Any:
            start = time.process_time()
            found = whole(net, *inputs, **options)
            if isinstance(net.__dict__["net"], nn.Module):
                self.seconds += time.process_time() - start
                self.calls += 1
            return found

        with patch.object(FrozenNet, "forward", timed):
            yield


def peak_gb() -> float:
    """Return the largest resident memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / 1e9


def main() -> None:
    """Score the video and print a row for each piece of work."""
    parser = argparse.ArgumentParser(description="Cost of scoring one video.")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 832))
    parser.add_argument("--presets", nargs="+", default=["synthetic", "redirector"], choices=tuple(MEMBERS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    names: dict[str, None] = {}
    for preset in args.presets:
        names |= dict.fromkeys(MEMBERS[preset])
    with tempfile.TemporaryDirectory() as folder:
        members, absent = build_metrics(tuple(names), write_weights(Path(folder)))
    videos = everything_known(args.frames, tuple(args.size))
    known: dict[str, Any] = {**videos.known(), "target": videos.target, "reference": videos.reference}
    asked = videos.target.cam_from_world
    assert asked is not None
    known[ASKED] = invert_pose(asked.double())
    for name, reason in absent.items():
        print(f"left out: {name}, {reason}")
    total = 0.0
    clock = Clock()
    print(f"{'metrics':76}{'CPU s':>9}{'networks':>10}{'calls':>7}{'GB':>7}")
    print(f"{'before':102}{peak_gb():7.2f}", flush=True)
    with clock.running():
        for metrics in by_work(members.values()):
            label = " ".join(str(metric.key) for metric in metrics)
            before = (clock.seconds, clock.calls)
            start = time.process_time()
            update_group(metrics, known)
            seconds = time.process_time() - start
            total += seconds
            networks = f"{clock.seconds - before[0]:10.2f}{clock.calls - before[1]:7d}"
            print(f"{label:76}{seconds:9.2f}{networks}{peak_gb():7.2f}", flush=True)
    print(f"{'all':76}{total:9.2f}{clock.seconds:10.2f}{clock.calls:7d}")
    print(f"cost over that of the forwards: {total / clock.seconds:.2f}")


if __name__ == "__main__":
    main()
