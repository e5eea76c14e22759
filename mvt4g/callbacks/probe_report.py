"""The report of a probe: files that a spreadsheet or NumPy opens, and pictures on disk and in TensorBoard."""

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mvt4g.evaluation.match_pictures import ShownMatches
from mvt4g.formats.atomic import appearing
from mvt4g.formats.probe_files import ProbeMaps, ProbeMatches
from mvt4g.ranges import Count
from mvt4g.systems.probe import CorrespondenceProbe
from mvt4g.types import InputError
from mvt4g.viz.canvas import to_image
from mvt4g.viz.charts import chart_to_frame
from mvt4g.viz.matches import match_sheet
from mvt4g.viz.probe_maps import draw_heads, draw_layers, draw_noise_levels


class ProbeReport(Callback):
    """Writes ``<run>/test/probe/`` after a probe, and shows its pictures in TensorBoard.

    ``maps.csv`` and ``maps.npz`` hold all scores, ``matches.npz`` the attention that is drawn. ``heat_maps.png`` shows
    layers over noise levels, ``curves.png`` the best layers, ``heads.png`` single heads, ``matches.png`` the best
    layer's attention for a few query points, ``matches_by_layer.png`` every layer's.

    Args:
        best: Layers drawn as curves: those with the best cross-view harmonic mean.
    """

    def __init__(self, best: Count = 3) -> None:
        super().__init__()
        if best < 1:
            raise InputError(f"ProbeReport.best: got {best}, want at least 1")
        self.best = best

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the maps from all ranks, write and draw them."""
        if not isinstance(pl_module, CorrespondenceProbe):
            return
        # All ranks gather, and the first one writes.
        found = ProbeMaps(
            layers=pl_module.layers,
            sigmas=pl_module.sigmas,
            maps=pl_module.maps(),
            heads=pl_module.head_maps(),
            same_place={panel: float(value) for panel, value in pl_module.same_place_accuracy().items()},
            settings=pl_module.settings(),
            clips=pl_module.clip_names(),
        )
        best = pl_module.best_layers("cross")
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "test" / "probe"
        found.write(folder)
        charts = {
            "heat_maps": draw_noise_levels(found.maps, found.layers, found.sigmas, found.same_place),
            "curves": draw_layers(found.maps, found.layers, found.sigmas, best[: self.best]),
            "heads": draw_heads(found.heads, found.layers, found.same_place),
        }
        pictures = {name: chart_to_frame(chart) for name, chart in charts.items()}
        if pl_module.shown is not None and pl_module.shown.names:
            matches = matches_of(pl_module.shown, pl_module.layers)
            matches.write(folder)
            pictures["matches"] = match_sheet(matches, {f"layer {best[0]}": matches.of_layer(best[0])})
            few = matches.first_of_each_clip()
            heats = {f"layer {layer}": few.of_layer(layer) for layer in few.layers}
            pictures["matches_by_layer"] = match_sheet(few, heats)
        if "matches" not in pictures:
            # Those of a probe before this one would pass for its own.
            for left in (*folder.glob("matches*.png"), folder / "matches.npz"):
                left.unlink(missing_ok=True)
        for name, picture in pictures.items():
            with appearing(folder / f"{name}.png") as temporary:
                to_image(picture).save(temporary)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(f"test/probe/{name}", picture, trainer.global_step)


def matches_of(shown: ShownMatches, layers: tuple[int, ...]) -> ProbeMatches:
    """Return what is written and drawn of a batch's points."""

    def as_bytes(frames: Float[torch.Tensor, " *s"]) -> UInt8[torch.Tensor, " *s"]:
        return frames.clamp(0, 1).mul(255).round().to(torch.uint8).cpu()

    return ProbeMatches(
        layers,
        shown.names,
        shown.queries.cpu(),
        shown.true_xy.cpu(),
        as_bytes(shown.reference),
        as_bytes(shown.target),
        torch.stack([shown.heat[layer] for layer in layers], dim=1).cpu(),
    )
