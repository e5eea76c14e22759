"""What a probe found, as files that a spreadsheet or NumPy opens and as pictures, on disk and in TensorBoard."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from mvt4g.callbacks.score_tables import cell
from mvt4g.formats.atomic import appearing
from mvt4g.formats.npz import write_arrays
from mvt4g.metrics.functional.attention_correspondence import PANELS
from mvt4g.systems.probe import SHOWN_PANELS, CorrespondenceProbe, best_layers
from mvt4g.types import InputError
from mvt4g.viz.canvas import to_image
from mvt4g.viz.curves import draw_curves
from mvt4g.viz.heat_maps import common_limits, draw_heat_map
from mvt4g.viz.tiles import tile_images

SCORES = (
    "harmonic_mean", "matching_accuracy", "accuracy_of_all", "attention_score", "confidence", "reliable_share",
    "num_matches",
)  # fmt: skip
DRAWN_SCORES = ("harmonic_mean", "matching_accuracy", "attention_score", "confidence")
PANEL_TITLES = {"ref": "reference over time", "tgt": "target over time", "cross": "across views"}

Maps = Mapping[str, Tensor]


class ProbeReport(Callback):
    """Writes ``<run>/test/probe/`` after a probe: maps as CSV and ``.npz``, heat maps and curves as PNG.

    ``maps.csv`` has a row for every layer, noise level and panel (with an empty ``head``: the mean over heads) and for
    every single head; ``maps.npz`` has the same as arrays ``<panel>/<score>`` (layer x noise level) and
    ``heads/<panel>/<score>`` (layer x head x noise level), with ``layers`` and ``sigmas``. TensorBoard shows the
    pictures.

    Args:
        best: Layers drawn as curves: those with the best cross-view harmonic mean.
    """

    def __init__(self, best: int = 3) -> None:
        super().__init__()
        if best < 1:
            raise InputError(f"ProbeReport.best: got {best}, want at least 1")
        self.best = best

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the maps from all ranks, write and draw them."""
        if not isinstance(pl_module, CorrespondenceProbe):
            return
        maps, head_maps = _on_cpu(pl_module.maps()), _on_cpu(pl_module.head_maps())
        if not trainer.is_global_zero:
            return
        layers, sigmas = pl_module.layers, pl_module.sigmas
        folder = Path(trainer.default_root_dir) / "test" / "probe"
        write_maps(folder, layers, sigmas, maps, head_maps)
        pictures = {
            "heat_maps": heat_map_picture(layers, sigmas, maps),
            "curves": curve_picture(layers, sigmas, maps, self.best),
            "heads": head_picture(layers, head_maps),
        }
        for name, picture in pictures.items():
            with appearing(folder / f"{name}.png") as temporary:
                to_image(picture).save(temporary)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(f"test/probe/{name}", picture, trainer.global_step)


def write_maps(folder: Path, layers: Sequence[int], sigmas: Sequence[float], maps: Maps, head_maps: Maps) -> None:
    """Write ``maps.csv`` and ``maps.npz``."""
    arrays = {"layers": np.array(layers), "sigmas": np.array(sigmas)}
    arrays |= {key: value.numpy() for key, value in maps.items()}
    arrays |= {f"heads/{key}": value.numpy() for key, value in head_maps.items()}
    write_arrays(folder / "maps.npz", arrays)
    with appearing(folder / "maps.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("panel", "layer", "head", "noise_level", *SCORES))
        writer.writerows(_rows(layers, sigmas, maps, head_maps))


def heat_map_picture(layers: Sequence[int], sigmas: Sequence[float], maps: Maps) -> Float[Tensor, "3 H W"]:
    """Draw layer x noise level, one column of pictures a panel, one row a score; a row shares its colours."""
    names, levels = [str(layer) for layer in layers], _level_names(sigmas)
    rows, captions = [], []
    for score in DRAWN_SCORES:
        shown = [maps[f"{panel}/{score}"] for panel in SHOWN_PANELS]
        limits = (0.0, 1.0) if score == "harmonic_mean" else common_limits(shown)
        rows.append([draw_heat_map(values, names, levels, ("layer", "noise level"), limits) for values in shown])
        captions.append([f"{_words(score)}, {PANEL_TITLES[panel]}" for panel in SHOWN_PANELS])
    return tile_images(rows, captions)


def curve_picture(layers: Sequence[int], sigmas: Sequence[float], maps: Maps, best: int) -> Float[Tensor, "3 H W"]:
    """Draw the layers with the best cross-view harmonic mean over noise levels, laid out as the heat maps."""
    chosen = best_layers(layers, maps, "cross")[:best]
    rows, captions = [], []
    for score in DRAWN_SCORES:
        shown = {
            panel: {f"layer {layer}": maps[f"{panel}/{score}"][layers.index(layer)] for layer in chosen}
            for panel in SHOWN_PANELS
        }
        drawn = [values for curves in shown.values() for values in curves.values()]
        limits = (0.0, 1.0) if score == "harmonic_mean" else common_limits(drawn)
        levels = [round(sigma, 2) for sigma in sigmas]
        rows.append(
            [draw_curves(levels, shown[panel], ("noise level", _words(score)), limits) for panel in SHOWN_PANELS]
        )
        captions.append([PANEL_TITLES[panel] for panel in SHOWN_PANELS])
    return tile_images(rows, captions)


def head_picture(layers: Sequence[int], head_maps: Maps) -> Float[Tensor, "3 H W"]:
    """Draw layer x head, means over noise levels, laid out as the heat maps."""
    rows, captions = [], []
    for score in DRAWN_SCORES:
        shown = [head_maps[f"{panel}/{score}"].nanmean(dim=-1) for panel in SHOWN_PANELS]
        heads = [str(head) for head in range(shown[0].shape[1])]
        names = [str(layer) for layer in layers]
        limits = common_limits(shown)
        rows.append([draw_heat_map(values, names, heads, ("layer", "head"), limits) for values in shown])
        captions.append([f"{_words(score)}, {PANEL_TITLES[panel]}" for panel in SHOWN_PANELS])
    return tile_images(rows, captions)


def _rows(
    layers: Sequence[int], sigmas: Sequence[float], maps: Maps, head_maps: Maps
) -> Iterator[tuple[str | int, ...]]:
    num_heads = next(iter(head_maps.values())).shape[1]
    for panel in PANELS:
        for row, layer in enumerate(layers):
            for head in ("", *range(num_heads)):
                for step, sigma in enumerate(sigmas):
                    at = (row, step) if head == "" else (row, head, step)
                    source = maps if head == "" else head_maps
                    scores = [cell(float(source[f"{panel}/{score}"][at])) for score in SCORES]
                    yield (panel, layer, head, f"{sigma:.6g}", *scores)


def _level_names(sigmas: Sequence[float]) -> list[str]:
    return [f"{sigma:.2f}" for sigma in sigmas]


def _words(score: str) -> str:
    return score.replace("_", " ")


def _on_cpu(maps: Maps) -> dict[str, Tensor]:
    return {key: value.cpu() for key, value in maps.items()}
