"""Do L_corr and L_diff pull a trained model the same way? Writes ``gradients.csv`` beside this file.

``python -m experiments.fine_tuned.gradients NAME=CHECKPOINT ...``, a name being arm, seed and step: ``none-0@3000``.
README.md beside this file says what the checkpoints are. States that are in the table are not measured again.

Every state sees the same training clips, queries and noise, at every noise level. The gradients are those of a training
step: L_diff with its weight of the noise level, L_corr at weight 1. No part of a state is updated.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from experiments.fine_tuned.agreement import Products, agree
from experiments.tables import Row, read_rows, write_rows
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.inference.encoding import encode_clip
from mvt4g.inference.noise import generator_for
from mvt4g.inference.queries import draw_queries
from mvt4g.inference.reader import read_model
from mvt4g.losses.correspondence import CorrespondenceLoss, TermRule
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.losses.objective import Taps
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.synthetic.recipes import parallax_nano
from mvt4g.types import TARGET, MultiViewClip, PointTruth, TapRequest

TABLE = Path(__file__).parent / "gradients.csv"
CONFIG = Path("configs/experiment/nano.yaml")
SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)
ALL = "all"
"""Level of the mean gradient over ``SIGMAS``, and group of all parameters."""
DIFF = "diff"
LAYERS = (0, 1, 2, 3)
SUPERVISED = 1
"""Block whose loss is taken apart."""
NUM_BATCHES, BATCH, NUM_QUERIES = 10, 8, 32
FIRST_SAMPLE = 24_000
"""Of the training samples: the first that the bases, of 3,000 steps of 8 clips, did not see."""
SEED = 0
AS_IS, AS_ADAMW = "as is", "AdamW"
"""Metrics: gradients as they are, or with the steps that AdamW makes of them."""
TINY = 1e-8
"""AdamW's epsilon."""
PAIRS = (("corr1_permuted", "corr1"), ("corr1_permuted", "corr1_mean"), ("corr1_cross", "corr1_time"))
"""Losses that are held against each other, beside L_diff against each."""
COLUMNS = (
    "state", "sigma", "metric", "first", "second", "group", "nats", "cosine", "low", "high", "expected", "error",
    "steady_first", "steady_second", "norm", "ratio", "expected_ratio",
)  # fmt: skip

Losses = dict[str, Float[Tensor, ""]]


class Gradients(NamedTuple):
    """Gradients of several losses on several batches.

    Attributes:
        values: By the name of a parameter.
        losses: Names of the losses, in order.
        nats: Mean of every loss over batches.
    """

    values: dict[str, Float[Tensor, "losses batches _"]]
    losses: tuple[str, ...]
    nats: Float[Tensor, " losses"]


def main(args: Sequence[str] | None = None) -> None:
    """Measure the states that the table lacks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("states", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--cache", type=Path, default=Path("../runs/steps_to_quality/cache"), help="of the clips")
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    rows = read_rows(options.out)
    batches = training_batches(options.cache)
    for state in options.states:
        name, _, checkpoint = state.partition("=")
        if name in {row["state"] for row in rows}:
            continue
        model = read_model(CONFIG, checkpoint).model
        model.backbone.requires_grad_(True)
        rows += [{"state": name, **row} for row in measure(model, batches)]
        write_rows(options.out, COLUMNS, rows)
        print(f"measured {name}", flush=True)


def training_batches(cache: Path) -> list[MultiViewClip]:
    """Return batches of training samples; those of the cache are not made anew."""
    samples = KubricDataModule(scene=parallax_nano(), cache_dir=cache, num_train=4096).samples("train")
    batches = []
    for number in range(NUM_BATCHES):
        first = FIRST_SAMPLE + number * BATCH
        clips = []
        for index in range(first, first + BATCH):
            clip = samples[index]
            assert isinstance(clip, MultiViewClip), clip
            clips.append(clip)
        batches.append(MultiViewClip.stack(clips))
    return batches


def measure(model: NovelViewModel, batches: Sequence[MultiViewClip]) -> Iterator[Row]:
    """Yield the rows of a model: every noise level, then the mean over them."""
    levels = []
    for sigma in SIGMAS:
        levels.append(gradients_at(model, batches, sigma))
        yield from table_rows(levels[-1], f"{sigma}", AS_IS, every_group=False)
    pooled = mean_over(levels)
    yield from table_rows(pooled, ALL, AS_IS, every_group=True)
    yield from table_rows(as_adamw(pooled), ALL, AS_ADAMW, every_group=False)


def mean_over(levels: Sequence[Gradients]) -> Gradients:
    """Return the mean gradients over noise levels."""
    values = {}
    for parameter in levels[0].values:
        values[parameter] = torch.stack([level.values[parameter] for level in levels]).mean(dim=0)
    return Gradients(values, levels[0].losses, torch.stack([level.nats for level in levels]).mean(dim=0))


def gradients_at(model: NovelViewModel, batches: Sequence[MultiViewClip], sigma: float) -> Gradients:
    """Return the gradients of every loss and batch at a noise level."""
    parameters = dict(model.backbone.named_parameters())
    by_parameter: dict[str, list[Tensor]] = {parameter: [] for parameter in parameters}
    of_batches = []
    names: tuple[str, ...] = ()
    for number, batch in enumerate(batches):
        losses = losses_of(model, batch, sigma, number)
        names = tuple(losses)
        of_batches.append(torch.stack(list(losses.values())).detach())
        of_losses = []
        for loss in losses.values():
            found = torch.autograd.grad(
                loss, list(parameters.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            of_losses.append(found)
        for parameter, values in zip(parameters, zip(*of_losses, strict=True), strict=True):
            by_parameter[parameter].append(torch.stack(values).flatten(1))
    joined = {parameter: torch.stack(values, dim=1) for parameter, values in by_parameter.items()}
    return Gradients(joined, names, torch.stack(of_batches).mean(dim=0))


def losses_of(model: NovelViewModel, batch: MultiViewClip, sigma: float, number: int) -> Losses:
    """Return L_diff, L_corr of every block, and others of the supervised block.

    ``cross`` has the terms across views alone and ``time`` those within a view. ``permuted`` is the negative control:
    every query is taught where the next query's point is. ``matching`` is L_corr less that: what both ask of the
    attention alike, such as to be less sure, is not in it. ``mean`` and ``best`` are L_corr's head reductions.

    Args:
        model: Without gradients of its own.
        batch: Training clips.
        sigma: Of all of them.
        number: Of the batch, which decides its draws.
    """
    latents, conditions = encode_clip(model, batch)
    draws = generator_for(SEED, number)
    truth = draw_queries(batch, model.codec.grid, NUM_QUERIES, draws)
    noise = torch.randn(latents[:, TARGET].shape, generator=draws)
    levels = torch.full((len(latents),), sigma)
    passed = model.noisy_pass(latents, batch.cameras, levels, noise, conditions, TapRequest(LAYERS))
    per_clip = DiffusionLoss()(passed.velocity, passed.target, model.flow.weight(levels))
    losses = {DIFF: per_clip.mean()}
    for layer in LAYERS:
        losses[f"corr{layer}"] = corr(layer, passed.taps, truth)
    across = TermRule(pairs=("ref_tgt", "tgt_ref"))
    within = TermRule(pairs=("ref_ref", "tgt_tgt"))
    losses["corr1_cross"] = corr(SUPERVISED, passed.taps, truth, terms=across)
    losses["corr1_time"] = corr(SUPERVISED, passed.taps, truth, terms=within)
    losses["corr1_permuted"] = corr(SUPERVISED, passed.taps, permuted(truth))
    losses["corr1_matching"] = losses["corr1"] - losses["corr1_permuted"]
    losses["corr1_mean"] = corr(SUPERVISED, passed.taps, truth, head_reduction="mean")
    losses["corr1_best"] = corr(SUPERVISED, passed.taps, truth, head_reduction="best")
    return losses


def corr(layer: int, taps: Taps, truth: PointTruth, **options: Any) -> Float[Tensor, ""]:
    """Return L_corr of a block, with options of ``CorrespondenceLoss``."""
    per_clip: Tensor = CorrespondenceLoss(layers=[layer], **options)(taps, truth).total
    return per_clip.mean()


def permuted(truth: PointTruth) -> PointTruth:
    """Return the truth with each query given the track of the next one."""
    return replace(truth, tracks=truth.tracks.roll(1, dims=3), visible=truth.visible.roll(1, dims=3))


def as_adamw(gradients: Gradients) -> Gradients:
    """Return gradients whose inner products say what a step of AdamW does.

    AdamW divides each element of a step by the root mean square of its gradient. What a step along a loss changes in
    L_diff is then their product, weighed by one over that; so each of the two is divided by its root. The mean square
    is that of L_diff over batches: of a loss of small weight.
    """
    diff = gradients.losses.index(DIFF)
    scaled = {}
    for parameter, values in gradients.values.items():
        size = values[diff].square().mean(dim=0).sqrt() + TINY
        scaled[parameter] = values / size.sqrt()
    return gradients._replace(values=scaled)


def groups(parameter: str) -> list[str]:
    """Return the groups that a parameter belongs to: its block, what makes that block's queries and keys, and all."""
    parts = parameter.split(".")
    if parts[:2] != ["dit", "blocks"]:
        return ["outside", ALL]
    block = parts[2]
    found = [f"block{block}", ALL]
    if parts[3] == "self_attn" and parts[4] in ("q", "k", "norm_q", "norm_k"):
        found.append(f"qk{block}")
    return found


def table_rows(gradients: Gradients, sigma: str, metric: str, every_group: bool) -> Iterator[Row]:
    """Yield a row for every pair of losses and every group that both reach.

    Args:
        gradients: Of every loss and batch.
        sigma: Their noise level, as the table says it.
        metric: What they are measured by.
        every_group: Or all parameters and the queries and keys of the second loss's block alone.
    """
    names = gradients.losses
    pairs = [(DIFF, name) for name in names if name != DIFF]
    for group, products in by_group(gradients).items():
        for first, second in [*pairs, *PAIRS]:
            one = names.index(first)
            other = names.index(second)
            if not every_group and group not in (ALL, f"qk{second[len('corr')]}"):
                continue
            of_both = Products(products[one, :, one], products[one, :, other], products[other, :, other])
            if not (of_both.first.any() and of_both.second.any()):
                continue
            row = {"sigma": sigma, "metric": metric, "first": first, "second": second, "group": group}
            row["nats"] = f"{float(gradients.nats[other]):.4g}"
            yield row | {key: f"{value:.3g}" for key, value in asdict(agree(of_both)).items()}


def by_group(gradients: Gradients) -> Mapping[str, Float[Tensor, "l n l n"]]:
    """Return the inner products of all losses and batches, by group of parameters; they add up over parameters."""
    sums: dict[str, Tensor] = {}
    for parameter, values in gradients.values.items():
        flat = rearrange(values.double(), "losses batches size -> (losses batches) size")
        products = (flat @ flat.T).reshape(*values.shape[:2], *values.shape[:2])
        for group in groups(parameter):
            sums[group] = sums[group] + products if group in sums else products
    return sums


if __name__ == "__main__":
    main()
