"""Where each model's attention looks for one query point: pictures of probes of the same clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.commands.compare_probes import best_layer
from mvt4g.formats.probe_files import ProbeMaps, ProbeMatches
from mvt4g.types import InputError
from mvt4g.viz.canvas import to_image
from mvt4g.viz.matches import attention_peak, draw_attention, draw_query


@dataclass(frozen=True)
class Look:
    """A query point and where models look for it.

    Attributes:
        name: Of the clip, and which of its points.
        pictures: PNG by caption: the query, then a model each.
    """

    name: str
    pictures: dict[str, bytes]


def probe_looks(runs: Mapping[str, Path]) -> list[Look]:
    """Draw the query points of probes of the same clips: each model at the layer of its best cross-view harmonic mean.

    Args:
        runs: Run folder of each probe, by what its model is called; such as the two of ``mvt4g compare-probes``.

    Raises:
        InputError: If a folder holds no probe, or two probes have other query points.
    """
    probes = {}
    for label, run in runs.items():
        folder = run / "test" / "probe"
        probes[label] = (ProbeMatches.read(folder), best_layer(ProbeMaps.read(folder)))
    if not probes:
        return []
    (first_label, (first, _)), *others = probes.items()
    for label, (matches, _) in others:
        if matches.names != first.names or not torch.equal(matches.queries, first.queries):
            raise InputError(
                f"--probes: got other query points of {label} than of {first_label}, want probes of the same clips"
            )
    looks = []
    for point, clip in enumerate(first.names):
        frame, x, y = first.queries[point, 1:].tolist()
        pictures = {f"query at ({x:.0f}, {y:.0f}), frame {int(frame)}": _png(_query(first, point))}
        for label, (matches, layer) in probes.items():
            picture, off = _attention(matches, layer, point)
            pictures[f"{label}, layer {layer}: {off:.1f} px off"] = _png(picture)
        looks.append(Look(f"{clip}, point {point + 1}", pictures))
    return looks


def _query(matches: ProbeMatches, point: int) -> Float[Tensor, "3 H W"]:
    return draw_query(matches.reference[point].float() / 255, matches.queries[point, 2:])


def _attention(matches: ProbeMatches, layer: int, point: int) -> tuple[Float[Tensor, "3 H W"], float]:
    """Return the target under a layer's attention, and how many pixels the peak is from the truth."""
    frame = matches.target[point].float() / 255
    heat, truth = matches.of_layer(layer)[point], matches.true_xy[point]
    peak = attention_peak(heat, frame)
    return draw_attention(frame, peak, truth, heat), float(torch.dist(peak, truth))


def _png(picture: Float[Tensor, "3 H W"]) -> bytes:
    content = BytesIO()
    to_image(picture).save(content, format="PNG")
    return content.getvalue()
