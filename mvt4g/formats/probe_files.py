"""Files of a probe: ``maps.npz`` and ``maps.csv`` of every score, ``matches.npz`` of the matches drawn."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.axes import bind_axes
from mvt4g.formats.npz import read_arrays, write_arrays
from mvt4g.formats.parsing.array_headers import ArrayHeader
from mvt4g.types import InputError


@dataclass(frozen=True)
class ProbeMaps:
    """Scores of every layer at every noise level.

    Attributes:
        layers: 0-based, the rows of the maps.
        sigmas: Noise levels, their columns.
        maps: ``<panel>/<score>`` to layer x noise level, of the mean over heads.
        heads: ``<panel>/<score>`` to layer x head x noise level.
        same_place: By panel, the matching accuracy of looking at the query's own place; empty if it is not known.
        settings: What else the scores depend on, by name; empty if it is not known.
        clips: Names of the clips that were read, sorted; likewise.
    """

    layers: tuple[int, ...]
    sigmas: tuple[float, ...]
    maps: Mapping[str, Float[Tensor, "l s"]]
    heads: Mapping[str, Float[Tensor, "l k s"]]
    same_place: Mapping[str, float]
    settings: Mapping[str, str]
    clips: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write ``maps.npz`` and ``maps.csv``."""
        arrays = {"layers": np.array(self.layers), "sigmas": np.array(self.sigmas)}
        arrays["clips"] = np.array(self.clips, dtype=np.str_)
        for name, value in self.settings.items():
            arrays[f"recipe/{name}"] = np.array([value], dtype=np.str_)
        for key, layer_map in self.maps.items():
            arrays[key] = layer_map.cpu().numpy()
        for key, head_map in self.heads.items():
            arrays[f"heads/{key}"] = head_map.cpu().numpy()
        for panel, accuracy in self.same_place.items():
            arrays[f"same_place/{panel}"] = np.array([accuracy])
        write_arrays(folder / "maps.npz", arrays)
        self.write_table(folder / "maps.csv")

    def write_table(self, path: Path) -> None:
        """Write a row for every panel, layer, head and noise level as CSV, an empty head being the mean over heads."""
        # As keys they stay in order, each once.
        panels: dict[str, None] = {}
        scores: dict[str, None] = {}
        for key in self.maps:
            panel, _, score = key.partition("/")
            panels[panel] = None
            scores[score] = None
        with appearing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("panel", "layer", "head", "noise_level", *scores))
            for panel in panels:
                writer.writerows(self._rows(panel, [f"{panel}/{score}" for score in scores]))

    @classmethod
    def read(cls, folder: Path) -> "ProbeMaps":
        """Read ``maps.npz``.

        Raises:
            InputError: If it is not there, cannot be read, or is none of a probe.
        """
        path = folder / "maps.npz"
        arrays = read_arrays(path, check=lambda headers: _check_maps(path, headers))
        layers = tuple(arrays.pop("layers").tolist())
        sigmas = tuple(arrays.pop("sigmas").tolist())
        clips = tuple(arrays.pop("clips", np.array([])).tolist())
        settings = _take(arrays, "recipe/")
        same_place = _take(arrays, "same_place/")
        heads = _take(arrays, "heads/")
        maps = arrays  # all that is left
        return cls(
            layers=layers,
            sigmas=sigmas,
            maps=_as_tensors(maps),
            heads=_as_tensors(heads),
            same_place={panel: value.item() for panel, value in same_place.items()},
            settings={name: value.item() for name, value in settings.items()},
            clips=clips,
        )

    def _rows(self, panel: str, keys: list[str]) -> Iterator[tuple[str | int, ...]]:
        num_heads = next(iter(self.heads.values())).shape[1]
        for row, layer in enumerate(self.layers):
            for head in ("", *range(num_heads)):
                if head == "":
                    tables = [self.maps[key][row] for key in keys]
                else:
                    tables = [self.heads[key][row, int(head)] for key in keys]
                for step, sigma in enumerate(self.sigmas):
                    scores = [_cell(table[step]) for table in tables]
                    yield (panel, layer, head, f"{sigma:.6g}", *scores)


@dataclass(frozen=True)
class ProbeMatches:
    """A few query points of the reference, and each layer's attention over the target's same frame.

    Attributes:
        layers: 0-based.
        names: Clip of each point.
        queries: (view, video frame, x, y), pixels.
        true_xy: Where each point is in the target, pixels.
        reference: The frame that each point is in.
        target: The target's same frame.
        heat: Softmax over the frame's tokens, mean over heads.
    """

    layers: tuple[int, ...]
    names: tuple[str, ...]
    queries: Float[Tensor, "n 4"]
    true_xy: Float[Tensor, "n 2"]
    reference: UInt8[Tensor, "n 3 h w"]
    target: UInt8[Tensor, "n 3 h w"]
    heat: Float[Tensor, "n l rows columns"]

    def write(self, folder: Path) -> None:
        """Write ``matches.npz``."""
        tensors = {name: getattr(self, name).cpu().numpy() for name in _MATCH_TENSORS}
        named = {"layers": np.array(self.layers), "names": np.array(self.names, dtype=np.str_)}
        write_arrays(folder / "matches.npz", named | tensors)

    def of_layer(self, layer: int) -> Float[Tensor, "n rows columns"]:
        """Return the attention of one layer."""
        return self.heat[:, self.layers.index(layer)]

    def first_of_each_clip(self) -> "ProbeMatches":
        """Return the first point of every clip."""
        first: dict[str, int] = {}
        for place, name in enumerate(self.names):
            first.setdefault(name, place)
        taken = {name: getattr(self, name)[list(first.values())] for name in _MATCH_TENSORS}
        return ProbeMatches(self.layers, tuple(first), **taken)

    @classmethod
    def read(cls, folder: Path) -> "ProbeMatches":
        """Read ``matches.npz``.

        Raises:
            InputError: If it is not there, cannot be read, or is none of a probe.
        """
        path = folder / "matches.npz"
        arrays = read_arrays(path, _MATCH_LAYOUT, lambda headers: _check_matches(path, headers))
        layers = tuple(arrays.pop("layers").tolist())
        names = tuple(arrays.pop("names").tolist())
        return cls(layers, names, **_as_tensors(arrays))


def _check_maps(path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    if not {"layers", "sigmas"} <= headers.keys():
        raise InputError(f"{path}: got {', '.join(headers):.200}, want the maps of a probe")
    sizes: dict[str, int] = {}
    for name in ("layers", "sigmas"):
        _check_array(f"{path}: {name}", headers[name], _MAP_LAYOUT[name], sizes)
    for name, header in headers.items():
        known = name if name in _MAP_LAYOUT else f"{name.partition('/')[0]}/"
        _check_array(f"{path}: {name:.80}", header, _MAP_LAYOUT.get(known, ("l s", "f")), sizes)


def _check_matches(path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    if missing := _MATCH_LAYOUT.keys() - headers.keys():
        raise InputError(f"{path}: got no {min(missing)}, want the matches of a probe")
    sizes: dict[str, int] = {}
    for name, layout in _MATCH_LAYOUT.items():
        _check_array(f"{path}: {name}", headers[name], layout, sizes)


def _check_array(where: str, header: ArrayHeader, layout: tuple[str, str], sizes: dict[str, int]) -> None:
    """Refuse an array of other axes or kind; a size met for the first time is entered."""
    axes, kinds = layout
    told = f"({axes}) with {sizes}" if sizes else f"({axes})"
    if header.dtype.kind not in kinds or not bind_axes(axes, header.shape, sizes):
        want = f"{told} as a probe writes it"
        raise InputError(f"{where}: got {header.dtype} of shape {header.shape}, want {want}")
    sizes.pop("k", None)  # a map may have heads of its own


def _as_tensors(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> dict[str, Shaped[Tensor, "..."]]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _take(arrays: dict[str, Shaped[np.ndarray, "..."]], prefix: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Take the arrays of a prefix out of all of them, and return them without it."""
    taken = {}
    for key in list(arrays):
        if key.startswith(prefix):
            taken[key.removeprefix(prefix)] = arrays.pop(key)
    return taken


def _cell(score: Float[Tensor, ""]) -> str:
    """Return what the table says of a score; nothing of one that is not known."""
    return "" if score.isnan() else f"{float(score):.8g}"


_MAP_LAYOUT = {
    "layers": ("l", "iu"),
    "sigmas": ("s", "fiu"),
    "clips": ("c", "U"),
    "recipe/": ("1", "U"),
    "same_place/": ("1", "f"),
    "heads/": ("l k s", "f"),
}
"""Axes and NumPy kinds by name, or by what a name begins with; all others are maps (l s)."""
_MATCH_LAYOUT = {
    "layers": ("l", "iu"),
    "names": ("n", "U"),
    "queries": ("n 4", "f"),
    "true_xy": ("n 2", "f"),
    "reference": ("n 3 h w", "u"),
    "target": ("n 3 h w", "u"),
    "heat": ("n l rows columns", "f"),
}
_MATCH_TENSORS = ("queries", "true_xy", "reference", "target", "heat")
