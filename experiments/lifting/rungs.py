"""The ladder of damage to depth, the clips that are scored, and the scores of a video."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.tables import Row, read_rows, write_rows
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.evaluation.video_metrics import describe, with_poses
from mvt4g.inference.lifting.reference_depth import ReferenceDepth, ReferenceDepthSpec
from mvt4g.metrics.functional.masked import masked_psnr
from mvt4g.metrics.pose_estimators.photometric import PhotometricAlignment
from mvt4g.metrics.presets import novel_view_metrics
from mvt4g.synthetic.recipes import parallax_nano
from mvt4g.types import TARGET, MultiViewClip

TRUE = "true"
RUNGS: Mapping[str, tuple[str, ...]] = {
    TRUE: (),
    "noise:1": ("noise:1",),
    "noise:2": ("noise:2",),
    "noise:5": ("noise:5",),
    "noise:10": ("noise:10",),
    "noise:20": ("noise:20",),
    "noise:40": ("noise:40",),
    "noise:80": ("noise:80",),
    "drift:20": ("drift:20",),
    "moving:20": ("moving:20",),
}
"""Damage by the name of its rung. Fixed up to 20 % of noise; no crossing lay there, so 40 and 80 % were added."""
NUM_CLIPS = 64
BATCH = 16
SEED = 0
"""Of noise and damage, together with each clip's name."""
COLUMNS = {
    "psnr": "psnr",
    "warp_error": "warp_error",
    "warp_error_dyn": "warp_error_dyn",
    "warp_rgb5": "warp_rgb5",
    "warp_rgb5_static": "warp_rgb5_static",
    "warp_rgb5_dyn": "warp_rgb5_dyn",
    "rotation_deg": "camera/mvtrack4gen/rotation_error_deg",
}
"""Columns of a table of scores, and the keys of their metrics."""
REGIONS = ("psnr_static", "psnr_dyn")
SCORES = (*COLUMNS, *REGIONS)


def held_out_batches(cache: Path, num_clips: int = NUM_CLIPS) -> Iterable[MultiViewClip]:
    """Yield the test clips in batches; those of the cache are not made anew."""
    data = KubricDataModule(scene=parallax_nano(), cache_dir=cache, num_test=num_clips)
    clips = data.samples("test")
    for first in range(0, num_clips, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, num_clips)):
            clip = clips[number]
            assert isinstance(clip, MultiViewClip), clip
            batch.append(clip)
        yield MultiViewClip.stack(batch)


def depth_at(rung: str) -> ReferenceDepth:
    """Return what gives the depth of a rung."""
    return ReferenceDepth(ReferenceDepthSpec(damage=RUNGS[rung]))


def score_videos(clip: MultiViewClip, video: Float[Tensor, "b t 3 h w"]) -> list[Row]:
    """Return a row of scores for every clip of a batch.

    Views are blurred, so the estimator of cameras asks for less than its defaults, as in the other experiments.
    """
    assert isinstance(clip.name, tuple)
    metrics = novel_view_metrics("synthetic", on_pose_failure="skip")
    estimator = PhotometricAlignment(
        min_detail_correlation=0.1, max_rotation_deviation_deg=2.0, max_position_deviation=0.2
    )
    metrics.update(with_poses(describe(clip, clip.name, video), estimator))
    table = metrics.table()
    assert table.names == clip.name, "no clip is there twice"
    assert clip.dynamic is not None
    moving = clip.dynamic[:, TARGET]
    regions = {
        "psnr_static": region_psnr(video, clip.video[:, TARGET], ~moving),
        "psnr_dyn": region_psnr(video, clip.video[:, TARGET], moving),
    }
    rows = []
    for index, name in enumerate(clip.name):
        row = {"clip": name}
        for column, key in COLUMNS.items():
            row[column] = written(float(table.scores[key][index]))
        for column, values in regions.items():
            row[column] = written(float(values[index]))
        rows.append(row)
    return rows


def region_psnr(
    video: Float[Tensor, "b t 3 h w"], target: Float[Tensor, "b t 3 h w"], region: Bool[Tensor, "b t h w"]
) -> Float[Tensor, " b"]:
    """Return the mean over frames of the PSNR of a region; NaN where no frame shows any of it."""
    return masked_psnr(video.clamp(0, 1), target, region).nanmean(dim=1)


def written(value: float) -> str:
    """Return a number to five digits, nothing where there is none."""
    return f"{value:.5g}" if math.isfinite(value) else ""


@torch.no_grad()
def score_rungs(
    path: Path,
    rungs: Iterable[str],
    generate: "Generate",
    batches: Sequence[MultiViewClip],
) -> None:
    """Score what is missing of some rungs, and add each to the table when it is whole.

    Args:
        path: Of the table: a row a rung and clip.
        rungs: In order.
        generate: Makes the videos of a batch at a rung.
        batches: Test clips.
    """
    rows = read_rows(path)
    done = {row["rung"] for row in rows}
    for rung in rungs:
        if rung in done:
            continue
        for batch in batches:
            scored = score_videos(batch, generate(batch, rung))
            rows += [{"rung": rung, **row} for row in scored]
        write_rows(path, ("rung", "clip", *SCORES), rows)
        print(f"scored {path.parent.name} at {rung}", flush=True)


class Generate(Protocol):
    """Makes the target videos of a batch of clips, whose depth is damaged as a rung says."""

    def __call__(self, clip: MultiViewClip, rung: str) -> Float[Tensor, "b t 3 h w"]:
        """Return videos in [0, 1]."""
