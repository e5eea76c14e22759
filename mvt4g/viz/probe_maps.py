"""Charts of a probe's maps: a row a score, a column a panel.

A panel is where a query point is looked for: in the reference at other times, in the target, or in the other view. A
map holds one score of one panel, for every layer (its rows) and noise level or head (its columns).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from mvt4g.viz.charts import CurvePanel, Figure, HeatRow, common_limits, draw_curves, draw_heat_maps

PANEL_TITLES = {"ref": "reference over time", "tgt": "target over time", "cross": "across views"}
SCORES = ("harmonic_mean", "matching_accuracy", "attention_score", "confidence")
RAW_SCORES = ("matching_accuracy", "accuracy_of_all", "attention_score", "confidence")
"""Scores that compare between two probes; a harmonic mean is of maps scaled to their own ranges."""

Maps = Mapping[str, Float[Tensor, "..."]]
"""By ``<panel>/<score>``."""


def draw_noise_levels(
    maps: Maps, layers: Sequence[int], sigmas: Sequence[float], same_place: Mapping[str, float]
) -> Figure:
    """Draw scores as layer x noise level.

    Args:
        maps: Scores of the mean over heads.
        layers: Rows of the maps.
        sigmas: Columns of the maps.
        same_place: By panel, the accuracy of answering with the query's own place; it stands beside the accuracies.
    """
    rows = _heat_rows(maps, SCORES, same_place)
    return draw_heat_maps(rows, _texts(layers), _levels(sigmas), ("layer", "noise level"))


def draw_heads(
    head_maps: Maps,
    layers: Sequence[int],
    same_place: Mapping[str, float],
) -> Figure:
    """Draw scores as layer x head, averaged over noise levels, otherwise as ``draw_noise_levels``."""
    means = {key: values.nanmean(dim=-1) for key, values in head_maps.items()}
    num_heads = next(iter(means.values())).shape[1]
    rows = _heat_rows(means, SCORES, same_place)
    return draw_heat_maps(rows, _texts(layers), _texts(range(num_heads)), ("layer", "head"))


def draw_changes(changes: Maps, layers: Sequence[int], sigmas: Sequence[float]) -> Figure:
    """Draw by how much each raw score rose (orange) or fell (purple), layer x noise level."""
    rows = _heat_rows(changes, RAW_SCORES, signed=True)
    return draw_heat_maps(rows, _texts(layers), _levels(sigmas), ("layer", "noise level"))


def draw_layers(
    maps: Maps,
    layers: Sequence[int],
    sigmas: Sequence[float],
    chosen: Sequence[int],
) -> Figure:
    """Draw the scores of the chosen layers over noise levels, the highest level on the left."""
    levels = sorted(sigmas)
    order = sorted(range(len(sigmas)), key=sigmas.__getitem__)
    chosen_rows = [layers.index(layer) for layer in chosen]
    rows = []
    for score in SCORES:
        chosen_maps = {}
        for panel in PANEL_TITLES:
            chosen_maps[f"{panel}/{score}"] = maps[f"{panel}/{score}"][chosen_rows]
        limits = _limits(score, chosen_maps)
        row = []
        for panel, title in PANEL_TITLES.items():
            curves = {}
            for layer, values in zip(chosen, chosen_maps[f"{panel}/{score}"], strict=True):
                run = zip(levels, values[order].tolist(), strict=True)
                curves[f"layer {layer}"] = [list(run)]
            names = ("noise level", _words(score))
            row.append(CurvePanel(names, curves, title, limits, x_scale="falling"))
        rows.append(row)
    return draw_curves(rows)


def _heat_rows(
    maps: Maps,
    scores: Sequence[str],
    same_place: Mapping[str, float] = MappingProxyType({}),
    signed: bool = False,
) -> list[HeatRow]:
    """Return the panels of each score, which share their colours."""
    rows = []
    for score in scores:
        limits = _limits(score, maps)
        if signed:
            # White must stand for no change, so the two ends are equally far from 0.
            widest = max(map(abs, limits))
            limits = (-widest, widest)
        by_title = {}
        for panel, title in PANEL_TITLES.items():
            if "accuracy" in score and panel in same_place:
                title = f"{title} (same place: {same_place[panel]:.2f})"
            by_title[title] = maps[f"{panel}/{score}"]
        rows.append(HeatRow(_words(score), by_title, limits, signed))
    return rows


def _limits(score: str, maps: Maps) -> tuple[float, float]:
    if score == "harmonic_mean":
        return 0.0, 1.0
    return common_limits([maps[f"{panel}/{score}"] for panel in PANEL_TITLES])


def _texts(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers]


def _levels(sigmas: Sequence[float]) -> list[str]:
    return [f"{sigma:.2f}" for sigma in sigmas]


def _words(score: str) -> str:
    return score.replace("_", " ")
