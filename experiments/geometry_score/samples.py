"""Samples of nano models, each with its true warp error and the scores that need no truth.

``python -m experiments.geometry_score.samples --out CSV``; README.md beside this file says what for. A row a sample is
added to the table as soon as a clip is done; the same command goes on from there.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from experiments.tables import read_rows
from mvt4g.data.kubric import SyntheticClips
from mvt4g.diffusion.samplers import EulerSampler, Sampler
from mvt4g.evaluation.video_metrics import describe
from mvt4g.inference.candidates import DraftSampler, grid_queries
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.reader import read_model
from mvt4g.matching.soft_matches import soft_matches
from mvt4g.metrics.functional.epipolar_colour import epipolar_colour
from mvt4g.metrics.functional.geometry_score import geometry_score
from mvt4g.metrics.functional.warp_error import warp_error
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.synthetic.recipes import parallax_nano
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Cameras, MultiViewClip, TapRequest

HERE = Path(__file__).parent
TABLE = HERE / "samples.csv"
RUNS = Path("../runs/steps_to_quality")
CHECKPOINTS = {
    "corr_gone300-0@3000": "nano/corr_gone300-0/kept/epoch=0-step=3000.ckpt",  # everything was chosen on this one
    "none-0@3000": "nano/none-0/kept/epoch=0-step=3000.ckpt",
    "none-1@3000": "nano/none-1/kept/epoch=0-step=3000.ckpt",
    "corr_gone600-3@1500": "schedule/corr_gone600-3/checkpoints/step-00001500.ckpt",
    "none-0@1000": "nano/none-0/kept/epoch=0-step=1000.ckpt",
    "prior_corr_gone300-0@3000": "nano/prior_corr_gone300-0/kept/epoch=0-step=3000.ckpt",
}
"""By the name in the table: arm, seed of training and step. Of the runs of experiments/steps_to_quality."""
LAYER = 1
"""Block whose attention the arms with L_corr supervise; the models have no tracking head."""
STEPS = 8
DRAFTS = (1, 2)
"""Sampling steps of the drafts that are scored."""
SCORES = ("epipolar_px", "epipolar_colour")
COLUMNS = ["checkpoint", "clip", "seed", "warp_error", "psnr", *SCORES]
for _steps in DRAFTS:
    COLUMNS += [f"{score}_draft{_steps}" for score in SCORES]

Row = dict[str, str | float | int]


def main(args: Sequence[str] | None = None) -> None:
    """Add the rows that the table lacks, clip by clip over all checkpoints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--cache", type=Path, default=RUNS / "cache", help="clips are taken from here, or made")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    done = {(row["checkpoint"], row["clip"]) for row in read_rows(options.out)}
    clips = SyntheticClips(parallax_nano(), "test", 128, 0, options.cache)
    models: dict[str, NovelViewModel] = {}
    for number in range(options.clips):
        for name, file in CHECKPOINTS.items():
            if (name, str(number)) in done:
                continue
            if name not in models:
                place = options.runs / file
                models[name] = read_model(place.parents[1] / "config.yaml", place, "cpu").model
            start = time.process_time()
            clip = clips.clip(number).select_views([REFERENCE, TARGET])
            rows = sample_rows(models[name], clip, options.seeds)
            add_rows(options.out, [{"checkpoint": name, "clip": number, **row} for row in rows])
            print(f"{name} clip {number}: {time.process_time() - start:.1f} CPU s", flush=True)


@torch.no_grad()
def sample_rows(model: NovelViewModel, clip: MultiViewClip, num_seeds: int) -> list[Row]:
    """Return the scores of one clip's samples, a row a seed."""
    batch = repeated(clip, num_seeds)
    size = (batch.video.shape[-2], batch.video.shape[-1])
    latents = model.codec.encode(batch.video[:, REFERENCE])
    noises = [clip_noise([str(clip.name)], seed, latents.shape[1:], latents.device) for seed in range(num_seeds)]
    noise = torch.cat(noises)
    whole = EulerSampler(STEPS)
    samplers: dict[str, tuple[Sampler, int]] = {"": (whole, STEPS - 1)}
    for steps in DRAFTS:
        samplers[f"_draft{steps}"] = (DraftSampler(whole, steps), steps - 1)
    columns: dict[str, Tensor] = {}
    for suffix, (sampler, last) in samplers.items():
        made = model.generate(latents, batch.cameras, noise, sampler, taps={last: TapRequest([LAYER])})
        video = model.codec.decode(made.latents).clamp(0, 1)
        columns[f"epipolar_px{suffix}"] = attention_px(made.taps[LAYER], batch.cameras, size)
        colours = [epipolar_colour(one, clip.video[REFERENCE], clip.cameras) for one in video]
        columns[f"epipolar_colour{suffix}"] = torch.stack(colours)
        if not suffix:
            columns |= true_scores(batch, video)
    rows: list[Row] = []
    for seed in range(num_seeds):
        scores = {name: f"{float(values[seed]):.6g}" for name, values in columns.items()}
        rows.append({"seed": seed, **scores})
    return rows


def attention_px(tap: AttentionTap, cameras: Cameras, size: tuple[int, int]) -> Float[Tensor, " b"]:
    """Return the median epipolar distance of a grid's matches, as attention finds them in the other view's frame."""
    num_frames = cameras.cam_from_world.shape[2]
    queries = grid_queries(num_frames, *size)
    batch = len(tap.query)
    found = soft_matches(tap, queries.expand(batch, -1, -1)).pixels.clone()
    view, frame = queries[:, 0].long(), queries[:, 1].long()
    points = torch.arange(len(queries))
    # A point is where it was asked for in its own view, and matches count at its own time alone.
    found[:, view, frame, points] = queries[:, 2:]
    visible = torch.zeros(2, num_frames, len(queries), dtype=torch.bool)
    visible[:, frame, points] = True
    distances = []
    for number in range(batch):
        score = geometry_score(found[number], visible, cameras[number], size)
        distances.append(score["epipolar_px"])
    return torch.stack(distances)


def true_scores(batch: MultiViewClip, video: Float[Tensor, "b t 3 h w"]) -> dict[str, Tensor]:
    """Return what the true target view, its depth and its cameras tell of generated videos."""
    known = describe(batch, tuple(map(str, range(len(video)))), video)
    error = (video - batch.video[:, TARGET]).square().flatten(1).mean(dim=1)
    return {"warp_error": warp_error(known.video, known.target, known.reference), "psnr": -10 * error.log10()}


def repeated(clip: MultiViewClip, count: int) -> MultiViewClip:
    """Return a batch of one clip several times."""

    def again(value: Tensor) -> Tensor:
        return repeat(value, "... -> b ...", b=count)

    assert clip.depth is not None, "synthetic clips have it"
    cameras = Cameras(again(clip.cameras.cam_from_world), again(clip.cameras.intrinsics))
    return MultiViewClip(video=again(clip.video), cameras=cameras, depth=again(clip.depth))


def add_rows(path: Path, rows: Sequence[Mapping[str, str | float | int]]) -> None:
    """Add rows to a table, in one write: a clip's rows are all there or none."""
    is_new = not path.exists()
    lines = [",".join(COLUMNS)] if is_new else []
    lines += [",".join(str(row[name]) for name in COLUMNS) for row in rows]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
