"""Sheets of a probe's maps: three panels side by side, one row a score."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from mvt4g.viz.curves import draw_curves
from mvt4g.viz.heat_maps import common_limits, draw_heat_map
from mvt4g.viz.tiles import tile_images

PANEL_TITLES = {"ref": "reference over time", "tgt": "target over time", "cross": "across views"}
SCORES = ("harmonic_mean", "matching_accuracy", "attention_score", "confidence")
RAW_SCORES = ("matching_accuracy", "accuracy_of_all", "attention_score", "confidence")
"""Those that two models' maps can be compared by."""

Maps = Mapping[str, Tensor]
"""By ``<panel>/<score>``."""


def heat_map_sheet(
    maps: Maps, layers: Sequence[int], sigmas: Sequence[float], same_place: Mapping[str, float]
) -> Float[Tensor, "3 H W"]:
    """Draw layer x noise level; a row shares its colours.

    Args:
        maps: Scores of the mean over heads.
        layers: Rows.
        sigmas: Columns.
        same_place: By panel, the accuracy of looking at the query's own place, told beside the accuracies.
    """
    columns = ("noise level", [f"{sigma:.2f}" for sigma in sigmas])
    return _sheet(maps, SCORES, layers, columns, same_place=same_place)


def head_sheet(head_maps: Maps, layers: Sequence[int], same_place: Mapping[str, float]) -> Float[Tensor, "3 H W"]:
    """Draw layer x head, means over noise levels, otherwise as ``heat_map_sheet``."""
    means = {key: values.nanmean(dim=-1) for key, values in head_maps.items()}
    columns = ("head", [str(head) for head in range(next(iter(means.values())).shape[1])])
    return _sheet(means, SCORES, layers, columns, same_place=same_place)


def difference_sheet(change: Maps, layers: Sequence[int], sigmas: Sequence[float]) -> Float[Tensor, "3 H W"]:
    """Draw by how much each raw score rose (orange) or fell (blue), layer x noise level."""
    return _sheet(change, RAW_SCORES, layers, ("noise level", [f"{sigma:.2f}" for sigma in sigmas]), signed=True)


def curve_sheet(
    maps: Maps, layers: Sequence[int], sigmas: Sequence[float], chosen: Sequence[int]
) -> Float[Tensor, "3 H W"]:
    """Draw the chosen layers' scores over noise levels, the highest on the left."""
    rows, order = [], sorted(range(len(sigmas)), key=lambda step: -sigmas[step])
    levels = [sigmas[step] for step in order]
    for score in SCORES:
        curves = [
            {f"layer {layer}": maps[f"{panel}/{score}"][layers.index(layer), order] for layer in chosen}
            for panel in PANEL_TITLES
        ]
        limits = _limits(score, [values for panel in curves for values in panel.values()])
        rows.append([draw_curves(levels, panel, ("noise level", _words(score)), limits) for panel in curves])
    return tile_images(rows, [list(PANEL_TITLES.values())] * len(rows))


def _sheet(
    maps: Maps,
    scores: Sequence[str],
    layers: Sequence[int],
    columns: tuple[str, Sequence[str]],
    signed: bool = False,
    same_place: Mapping[str, float] = MappingProxyType({}),
) -> Float[Tensor, "3 H W"]:
    rows, captions = [], []
    for score in scores:
        shown = [maps[f"{panel}/{score}"] for panel in PANEL_TITLES]
        limits = _limits(score, shown)
        if signed:
            limits = (-max(map(abs, limits)), max(map(abs, limits)))
        names, axes = [str(layer) for layer in layers], ("layer", columns[0])
        rows.append([draw_heat_map(values, names, columns[1], axes, limits, signed) for values in shown])
        told = {panel: "" for panel in PANEL_TITLES}
        if "accuracy" in score:
            told |= {panel: f" (same place: {value:.2f})" for panel, value in same_place.items()}
        captions.append([f"{_words(score)}, {title}{told[panel]}" for panel, title in PANEL_TITLES.items()])
    return tile_images(rows, captions)


def _limits(score: str, shown: Sequence[Tensor]) -> tuple[float, float]:
    return (0.0, 1.0) if score == "harmonic_mean" else common_limits(shown)


def _words(score: str) -> str:
    return score.replace("_", " ")
