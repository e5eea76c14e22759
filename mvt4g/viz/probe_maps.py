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
    rows = [_heat_row(maps, score, same_place) for score in SCORES]
    return draw_heat_maps(rows, _texts(layers), _levels(sigmas), ("layer", "noise level"))


def draw_heads(head_maps: Maps, layers: Sequence[int], same_place: Mapping[str, float]) -> Figure:
    """Draw scores as layer x head, averaged over noise levels, otherwise as ``draw_noise_levels``."""
    means = {key: values.nanmean(dim=-1) for key, values in head_maps.items()}
    num_heads = next(iter(means.values())).shape[1]
    rows = [_heat_row(means, score, same_place) for score in SCORES]
    return draw_heat_maps(rows, _texts(layers), _texts(range(num_heads)), ("layer", "head"))


def draw_changes(changes: Maps, layers: Sequence[int], sigmas: Sequence[float]) -> Figure:
    """Draw by how much each raw score rose (orange) or fell (purple), layer x noise level."""
    rows = [_heat_row(changes, score, signed=True) for score in RAW_SCORES]
    return draw_heat_maps(rows, _texts(layers), _levels(sigmas), ("layer", "noise level"))


def draw_layers(maps: Maps, layers: Sequence[int], sigmas: Sequence[float], chosen: Sequence[int]) -> Figure:
    """Draw the scores of the chosen layers over noise levels, the highest level on the left."""
    order = sorted(range(len(sigmas)), key=lambda column: sigmas[column])
    rows = []
    for score in SCORES:
        rows_of_chosen = [layers.index(layer) for layer in chosen]
        limits = _limits(score, {key: values[rows_of_chosen] for key, values in maps.items()})
        row = []
        for panel, title in PANEL_TITLES.items():
            curves = {}
            for layer in chosen:
                values = maps[f"{panel}/{score}"][layers.index(layer)].tolist()
                curves[f"layer {layer}"] = [[(sigmas[column], values[column]) for column in order]]
            row.append(CurvePanel(("noise level", _words(score)), curves, title, limits, falling=True))
        rows.append(row)
    return draw_curves(rows)


def _heat_row(
    maps: Maps, score: str, same_place: Mapping[str, float] = MappingProxyType({}), signed: bool = False
) -> HeatRow:
    """Return the panels of one score, which share their colours."""
    limits = _limits(score, maps)
    if signed:
        widest = max(map(abs, limits))
        limits = (-widest, widest)
    by_title = {}
    for panel, title in PANEL_TITLES.items():
        note = f" (same place: {same_place[panel]:.2f})" if "accuracy" in score and panel in same_place else ""
        by_title[title + note] = maps[f"{panel}/{score}"]
    return HeatRow(_words(score), by_title, limits, signed)


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
