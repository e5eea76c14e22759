"""Tracks of a supervised head against tracks read off attention without one, on several seeds.

``python -m experiments.tracking.run``: nano, from the bases of ``runs/bases``; it goes on where it was stopped.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments import runs
from experiments.endings import told
from mvt4g.cli import main as mvt4g
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.inference.tracker import TrackerEvaluation
from mvt4g.metrics.collection import Scores
from mvt4g.metrics.presets import TRACKS, build_metrics
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import LatentGrid, MultiViewClip

FOLDER = Path("runs/tracking")
BASE = "runs/bases/nano-{seed}/checkpoints/step-00001200.ckpt"
FIT = ("configs/experiment/demo.yaml", "-c", "experiments/tracking/nano.yaml")
TEST = ("-c", "configs/experiment/tracking.yaml", "-c", "experiments/tracking/nano_tracker.yaml")
WITHOUT = ("--model.init_args.tracking_head=null", "--model.init_args.objectives=[]")
ARMS: dict[str, tuple[str, ...]] = {
    "supervised": (),
    "unsupervised": WITHOUT,
}
TAPPED, LAYERS = 2, range(4)
KINDS = ("ref", "tgt", "cross", "ref_dynamic", "tgt_dynamic", "cross_dynamic")
WAYS = (
    ("supervised", "head", TAPPED),
    ("unsupervised", "argmax", TAPPED),
    ("unsupervised", "soft_argmax", TAPPED),
    ("supervised", "argmax", TAPPED),
    ("supervised", "soft_argmax", TAPPED),
    *(("unsupervised", "argmax", layer) for layer in LAYERS if layer != TAPPED),
)
"""Arm, method and layer of every way to read tracks."""
Readings = dict[str, dict[int, dict[str, float]]]
"""Scores by way and seed."""


def main() -> None:
    """Run what is missing and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("flags", nargs="*", help="further options of `mvt4g fit`, after --")
    args = parser.parse_args()
    checkpoints = {(arm, seed): fit(args.folder, arm, seed, args.flags) for seed in args.seeds for arm in ARMS}
    stay = staying()
    found: Readings = {"every point stays where it was queried": {seed: stay for seed in args.seeds}}
    for arm, method, layer in WAYS:
        for seed in args.seeds:
            run = args.folder / f"{arm}-{seed}" / "tracks" / f"{method}-{layer}"
            flags = [f"--model.init_args.tracker.method={method}", f"--model.init_args.tracker.layer={layer}"]
            flags += WITHOUT if arm == "unsupervised" else ()
            found.setdefault(f"{arm}, {method}, layer {layer}", {})[seed] = test(run, checkpoints[arm, seed], *flags)
    print(comparison(found))


def fit(folder: Path, arm: str, seed: int, flags: Sequence[str]) -> Path:
    """Fit one arm from the base of a seed, and return its last checkpoint."""
    seeded = (f"--seed_everything={seed}", f"--model.init_args.training.seed={seed}")
    base = f"--model.init_args.backbone.init_args.weights={BASE.format(seed=seed)}"
    return runs.fit(FIT[0], folder / f"{arm}-{seed}", *FIT[1:], *seeded, base, *ARMS[arm], *flags)


def test(run: Path, checkpoint: Path, *flags: str) -> dict[str, float]:
    """Return the scores of one way to read tracks; a test that is done is not done again."""
    if not (run / "test" / "metrics.json").exists():
        code = mvt4g(["test", *TEST, "--run", str(run), "--verbose=false", "--ckpt_path", str(checkpoint), *flags])
        if code:
            raise SystemExit(code)  # it has said why
    return {key: float("nan") if value is None else value for key, value in runs.read_metrics(run).items()}


def staying() -> dict[str, float]:
    """Return the scores of the answer that no point moves, in time or between the views, on the same scenes."""
    scene = SceneSpec(num_frames=3, image_size=(48, 48))
    data = KubricDataModule(scene=scene, cache_dir=Path("cache/clips"), num_test=32)
    scores = Scores(build_metrics(TRACKS, threshold_px=2.0)[0], row="view")
    grid = LatentGrid(temporal_stride=1, spatial_stride=4, channels=16)
    data.setup("test")
    for batch in data.test_dataloader():
        assert isinstance(batch, MultiViewClip)
        truth = draw_queries_by_name(batch, batch.name, grid, TrackerEvaluation().num_queries, seed=0)
        tracks = truth.queries[:, None, None, :, 2:].expand(truth.tracks.shape)
        scores.take({"tracks": tracks, "visible": torch.ones_like(truth.visible), "truth": truth})
    return {f"test/{key}@0.10": float(value) for key, value in scores.compute().items()}


def comparison(found: Readings) -> str:
    """Return delta_avg in points of every way to read tracks, mean over seeds and the seeds' least and most."""
    rows: dict[str, Sequence[str]] = {}
    for way, of_seed in found.items():
        values = [[100 * read[f"test/tapvid/{kind}/delta_avg@0.10"] for read in of_seed.values()] for kind in KINDS]
        every = [statistics.fmean(seed) for seed in zip(*values[:3], strict=True)]
        rows[way] = [f"{statistics.fmean(each):.1f} ({min(each):.1f}-{max(each):.1f})" for each in (every, *values)]
    return runs.table(("mean of three", *KINDS), rows)


if __name__ == "__main__":
    sys.exit(told(main))
