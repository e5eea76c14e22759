"""``mvt4g compare-probes``: what training, or anything else between two probes, did to correspondence."""

import sys
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from mvt4g.formats.atomic import appearing
from mvt4g.formats.probe_files import ProbeMaps, ProbeMatches
from mvt4g.types import InputError
from mvt4g.viz.canvas import to_image
from mvt4g.viz.charts import chart_to_frame
from mvt4g.viz.matches import match_sheet
from mvt4g.viz.probe_maps import draw_changes


def compare_probes(before: str, after: str, out: str, layer: int | None = None) -> int:
    """Draw two probes of the same clips as before and after: attention of the same query points, change of every score.

    Writes ``matches.png`` (query, before, after), ``difference.png`` and ``difference.csv`` (after minus before), and
    both pictures as TensorBoard events. Harmonic means are left out: they do not compare.

    Args:
        before: Run folder of a probe.
        after: Run folder of another, of the same layers, noise levels, clips and queries.
        out: Folder that takes the pictures.
        layer: Whose attention is drawn; None = the one with the best cross-view harmonic mean after.

    Raises:
        InputError: If a folder holds no probe, the two do not match, or the layer is none of theirs.
    """
    folders = [Path(run) / "test" / "probe" for run in (before, after)]
    old, new = (ProbeMaps.read(folder) for folder in folders)
    matches, later = (ProbeMatches.read(folder) for folder in folders)
    _check_alike(before, after, old, new)
    if matches.names != later.names or not torch.equal(matches.queries, later.queries):
        raise InputError(f"{after}: got other query points than {before}, want two probes of the same clips")
    if matches.heat.shape != later.heat.shape:
        got, wanted = (tuple(heat.shape[2:]) for heat in (later.heat, matches.heat))
        raise InputError(f"{after}: got {got} tokens (rows, columns), want those of {before}, {wanted}")
    shown = best_layer(new) if layer is None else layer
    if shown not in new.layers:
        raise InputError(f"--layer: got {shown}, want one of {new.layers}")
    change = {key: new.maps[key] - old.maps[key] for key in old.maps if not key.endswith("/harmonic_mean")}
    heads = {key: new.heads[key] - old.heads[key] for key in change}
    ProbeMaps(new.layers, new.sigmas, change, heads, {}, new.recipe, new.clips).write_table(
        Path(out) / "difference.csv"
    )
    heats = {f"before, layer {shown}": matches.of_layer(shown), f"after, layer {shown}": later.of_layer(shown)}
    pictures = {
        "matches": match_sheet(matches, heats),
        "difference": chart_to_frame(draw_changes(change, new.layers, new.sigmas)),
    }
    with SummaryWriter(out) as writer:
        for name, picture in pictures.items():
            writer.add_image(f"probes/{name}", picture)
            with appearing(Path(out) / f"{name}.png") as temporary:
                to_image(picture).save(temporary)
    sys.stdout.write(f"wrote difference.csv, matches.png, difference.png and TensorBoard's events to {out}\n")
    return 0


def best_layer(probe: ProbeMaps) -> int:
    """Return the layer with the best mean of the cross-view harmonic mean over noise levels.

    Raises:
        InputError: If no layer has one.
    """
    means = probe.maps["cross/harmonic_mean"].nanmean(dim=1)
    if means.isnan().all():
        raise InputError(f"--layer: got none, and no layer has a harmonic mean, want one of {probe.layers}")
    return probe.layers[int(means.nan_to_num(nan=-1.0).argmax())]


def _check_alike(before: str, after: str, old: ProbeMaps, new: ProbeMaps) -> None:
    """Check that the scores of two probes can be compared.

    Raises:
        InputError: Naming the first thing that is not the same.
    """
    sides = [{**vars(probe), **probe.recipe, "scores": sorted(probe.maps)} for probe in (old, new)]
    for name in ("layers", "sigmas", *sorted(old.recipe.keys() | new.recipe.keys()), "scores"):
        wanted, got = (side.get(name, "not known") for side in sides)
        if wanted != got:
            raise InputError(f"{after}: got {name} {got}, want those of {before}, {wanted}")
    if strange := sorted(set(old.clips) ^ set(new.clips)):
        raise InputError(f"{after}: got other clips than {before}: {strange[0]} is in one of them alone")
    heads = [next(iter(probe.heads.values())).shape[1] for probe in (old, new)]
    if heads[0] != heads[1]:
        raise InputError(f"{after}: got {heads[1]} heads, want those of {before}, {heads[0]}")
