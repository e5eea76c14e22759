"""``mvt4g compare-probes``: what training, or anything else between two probes, did to correspondence."""

import sys
from dataclasses import replace
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
    old_folder = Path(before) / "test" / "probe"
    new_folder = Path(after) / "test" / "probe"
    old = ProbeMaps.read(old_folder)
    new = ProbeMaps.read(new_folder)
    matches = ProbeMatches.read(old_folder)
    later = ProbeMatches.read(new_folder)
    _check_comparable(before, after, old, new)
    if matches.names != later.names or not torch.equal(matches.queries, later.queries):
        raise InputError(f"{after}: got other query points than {before}, want two probes of the same clips")
    if matches.heat.shape != later.heat.shape:
        got = tuple(later.heat.shape[2:])
        wanted = tuple(matches.heat.shape[2:])
        raise InputError(f"{after}: got {got} tokens (rows, columns), want those of {before}, {wanted}")
    if layer is None:
        layer = best_layer(new)
    if layer not in new.layers:
        raise InputError(f"--layer: got {layer}, want one of {new.layers}")
    change = {}
    heads = {}
    for key in old.maps:
        if not key.endswith("/harmonic_mean"):
            change[key] = new.maps[key] - old.maps[key]
            heads[key] = new.heads[key] - old.heads[key]
    difference = replace(new, maps=change, heads=heads, same_place={})
    difference.write_table(Path(out) / "difference.csv")
    heats = {f"before, layer {layer}": matches.of_layer(layer), f"after, layer {layer}": later.of_layer(layer)}
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


def _check_comparable(before: str, after: str, old: ProbeMaps, new: ProbeMaps) -> None:
    """Check that the scores of two probes can be compared.

    Raises:
        InputError: Naming the first thing that is not the same.
    """
    want = _compared_values(old)
    got = _compared_values(new)
    # What an older version did not write down is another value than any that is known.
    for name in ("layers", "sigmas", *sorted(old.settings.keys() | new.settings.keys()), "scores"):
        theirs = want.get(name, "not known")
        ours = got.get(name, "not known")
        if theirs != ours:
            raise InputError(f"{after}: got {name} {ours}, want those of {before}, {theirs}")
    if strange := sorted(set(old.clips) ^ set(new.clips)):
        raise InputError(f"{after}: got other clips than {before}: {strange[0]} is in one of them alone")
    wanted_heads = _num_heads(old)
    num_heads = _num_heads(new)
    if num_heads != wanted_heads:
        raise InputError(f"{after}: got {num_heads} heads, want those of {before}, {wanted_heads}")


def _compared_values(probe: ProbeMaps) -> dict[str, object]:
    """Return what two probes must have alike, by name."""
    return {**probe.settings, "layers": probe.layers, "sigmas": probe.sigmas, "scores": sorted(probe.maps)}


def _num_heads(probe: ProbeMaps) -> int:
    return next(iter(probe.heads.values())).shape[1]
