"""How long training waits for data: the tiny model, batches of 8, two workers, from generated clips and from disk.

    python -m experiments.benchmarks.loading [--steps 30] [--workers 2] [--threads N] [--only generated cache ...]

Waiting is what Lightning's loop spends in fetching a batch; the first steps, in which workers start, are left out.
Clips on disk are made first and are not counted; they stay in the page cache, so that decoding is measured, not disks.
"""

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.profilers import SimpleProfiler

from mvt4g.cli.suite import quieten_lightning
from mvt4g.data.augment import AugmentSpec
from mvt4g.data.clip_sources import SourceSpec
from mvt4g.data.colours import JitterSpec
from mvt4g.data.crops import CropSpec
from mvt4g.data.eraser import EraserSpec
from mvt4g.data.frame_rates import FrameSpec
from mvt4g.data.kubric import SyntheticClips
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.samples import SamplingSpec
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.formats.clip_folder import write_clip_folder
from mvt4g.losses.correspondence import CorrespondenceObjective
from mvt4g.losses.track import TrackObjective
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.systems.novel_view import NovelViewSystem
from mvt4g.systems.settings import TrainingSpec

WARM_UP = 5
BATCH = 8
CLIPS_ON_DISK = 64
BAR = 0.05
FETCH = "[_TrainingEpochLoop].train_dataloader_next"
STEP = "run_training_batch"


@dataclass(frozen=True)
class Waiting:
    """Seconds a step, by what they were spent on."""

    step: float
    wait: float
    longest_wait: float

    @property
    def share(self) -> float:
        """Waiting, of all time."""
        return self.wait / (self.step + self.wait)


def tiny_system() -> NovelViewSystem:
    """Build what configs/experiment/demo.yaml trains."""
    codec = PatchCodec(block=4, keep=16, scale="natural")
    sizes = VideoDiTConfig(dim=128, ffn_dim=512, num_heads=4, num_layers=6, query_gain=3.0)
    return NovelViewSystem(
        ReCamMaster(sizes, codec.grid, [PluckerConditioning()]),
        codec,
        FlowMatching(shift=3.0),
        tracking_head=lambda shape: TrackingHead(shape, layer=3),
        objectives=[TrackObjective, partial(CorrespondenceObjective, weight=1.0)],
        training=TrainingSpec(optimizer=partial(torch.optim.AdamW, lr=3e-3), num_queries=32, warmup_steps=50),
    )


def measure(data: KubricDataModule, steps: int) -> Waiting:
    """Train and look at what the steps after the warm-up spent."""
    profiler = SimpleProfiler()
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=WARM_UP + steps, max_epochs=-1, limit_val_batches=0, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, profiler=profiler,
    )  # fmt: skip
    profiler.summary = lambda: ""  # type: ignore[method-assign]  # its table of fifty rows
    trainer.fit(tiny_system(), data)
    waits = profiler.recorded_durations[FETCH][WARM_UP : WARM_UP + steps]
    spent = profiler.recorded_durations[STEP][WARM_UP : WARM_UP + steps]
    return Waiting(sum(spent) / steps, sum(waits) / steps, max(waits))


def seconds_a_batch(data: KubricDataModule, batches: int = 6) -> float:
    """Return how long one batch takes in this process, with no worker and nothing else to do."""
    samples = data.samples("train")
    for number in range(2):
        samples[number]
    began = time.perf_counter()
    for number in range(batches * BATCH):
        samples[number]
    return (time.perf_counter() - began) / batches


def everything_on(*sources: SourceSpec) -> SamplingSpec:
    """Return a sampling with every option on, at the tiny size."""
    return SamplingSpec(
        sources,
        frames=FrameSpec(5),
        crop=CropSpec((64, 64), (0.6, 1.0)),
        num_points=128,
        augment=AugmentSpec(True, JitterSpec(1.0), EraserSpec(0.5)),
    )


def arms(folder: Path, loader: LoaderSpec) -> dict[str, Callable[[], KubricDataModule]]:
    """Return what is compared; each writes what it needs first."""
    scene = SceneSpec.tiny()

    def module(sampling: SamplingSpec = SamplingSpec(), cache: Path | None = None) -> KubricDataModule:
        num_train = 20_000 if cache is None else CLIPS_ON_DISK
        return KubricDataModule(scene, loader, cache, num_train=num_train, sampling=sampling)

    def from_cache() -> KubricDataModule:
        clips = SyntheticClips(scene, "train", CLIPS_ON_DISK, 0, folder / "cache")
        for number in range(CLIPS_ON_DISK):
            clips.read(number)
        return module(cache=folder / "cache")

    def clip_folders() -> Path:
        clips, place = SyntheticClips(scene, "train", CLIPS_ON_DISK, 0, folder / "cache"), folder / "clips"
        for number in range(CLIPS_ON_DISK if not place.exists() else 0):
            write_clip_folder(place / f"{number:04d}", clips.read(number))
        return place

    return {
        "generated": module,
        "cache": from_cache,
        "folders": lambda: module(SamplingSpec((SourceSpec(clip_folders(), name="folders"),))),
        "mixture": lambda: module(everything_on(SourceSpec(), SourceSpec(clip_folders(), name="folders"))),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    quieten_lightning()
    torch.set_num_threads(arguments.threads)
    print(f"tiny, batch {BATCH}, {arguments.workers} workers, {arguments.threads} threads, {os.cpu_count()} cores")
    print(f"{'':12}{'s a batch':>12}{'s a step':>12}{'s waiting':>12}{'longest':>12}{'waiting':>12}")
    with tempfile.TemporaryDirectory() as folder:
        built = arms(Path(folder), LoaderSpec(BATCH, arguments.workers))
        for name in itertools.filterfalse(lambda name: arguments.only and name not in arguments.only, built):
            data = built[name]()
            alone, found = seconds_a_batch(data), measure(data, arguments.steps)
            verdict = f"{100 * found.share:10.2f} %{'' if found.share < BAR else '  over the bar'}"
            print(f"{name:12}{alone:12.3f}{found.step:12.3f}{found.wait:12.4f}{found.longest_wait:12.4f}{verdict}")


if __name__ == "__main__":
    main()
