"""Facts that the results of a run depend on beside the data: options, files that they name, checkpoint."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule

from mvt4g.formats.checksums import sha256_of, sha256_of_all
from mvt4g.models.shipped import place_of

HASHED_BYTES = 64 * 2**20
"""A file that a configuration names is told by its SHA-256 up to this size, by its size beyond: encoders have 11 GB."""


@dataclass(frozen=True)
class RunFacts:
    """What the results of a run depend on beside the data.

    Attributes:
        run: The run folder.
        config: The whole configuration as YAML.
        ckpt_path: File of the checkpoint; None = no checkpoint.
    """

    run: Path
    config: str
    ckpt_path: str | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All options that count, and what the files hold that the model's options name.

        The options are the model's, precision, whether averaged weights are used, and ``seed_everything``. A file is
        told by its SHA-256, or by its size beyond HASHED_BYTES.
        """
        content = yaml.safe_load(self.config) or {}
        trainer = content.get("trainer") or {}
        model = content.get("model")
        files = {}
        for key, text in _texts(model, ""):
            if _is_file(text):
                files[key] = _fingerprint(Path(text))
        return {
            "model": model,
            "files": files,
            "precision": str(trainer.get("precision")),
            "averaged_weights": _has_average(trainer.get("callbacks")),
            "seed_everything": content.get("seed_everything"),
        }

    @cached_property
    def checkpoint(self) -> dict[str, str | None]:
        """Path and SHA-256 of the checkpoint, or of the weights that the model starts from; None for neither.

        ``last`` is the file that it means.
        """
        path = Path(self.ckpt_path) if self.ckpt_path is not None else self._weights()
        if path is None:
            return {"path": None, "fingerprint": None}
        return {"path": str(path), "fingerprint": sha256_of(path)}

    def seed(self, pl_module: LightningModule) -> int:
        """Return the seed of the draws."""
        return int(getattr(getattr(pl_module, "evaluation", None), "seed", 0))

    def sampling(self, pl_module: LightningModule) -> dict[str, Any]:
        """Return name of the sampler and number of steps; None for a tracker, which samples nothing."""
        evaluation = getattr(pl_module, "evaluation", None)
        steps = getattr(evaluation, "sample_steps", None)
        if not steps:
            return {"sampler": None, "steps": steps}
        assert evaluation is not None, "it says how many steps"
        return {"sampler": type(evaluation.build_sampler()).__name__, "steps": steps}

    def inputs(self, pl_module: LightningModule) -> dict[str, Any]:
        """Return all of this that results depend on, as JSON holds it."""
        return {
            "checkpoint": self.checkpoint["fingerprint"],
            "settings": self.settings,
            "seed": self.seed(pl_module),
        }

    def _weights(self) -> Path | None:
        model = self.settings["model"] or {}
        backbone = (model.get("init_args") or {}).get("backbone") or {}
        weights = (backbone.get("init_args") or {}).get("weights")
        if isinstance(weights, list) and weights:
            # The overlays tell runs apart that start from one base.
            weights = weights[-1]
        if not isinstance(weights, str):
            return None
        path = place_of(Path(weights))
        return path if path.is_file() else None


def _has_average(callbacks: Any) -> bool:
    """Say whether the EMA is among a configuration's callbacks, one or a list: its average replaces the weights."""
    listed = callbacks if isinstance(callbacks, list) else [callbacks]
    for callback in listed:
        if isinstance(callback, dict) and str(callback.get("class_path")).rpartition(".")[2] == "EMA":
            return True
    return False


def _texts(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) of every text in nested mappings and lists."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        entries = tree.items()
    elif isinstance(tree, list):
        entries = enumerate(tree)
    for key, value in entries:
        if isinstance(value, str):
            yield f"{prefix}{key}", value
        yield from _texts(value, f"{prefix}{key}.")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a prompt is no name that a file could have
        return False


def _fingerprint(path: Path) -> str:
    size = path.stat().st_size
    return f"sha256 {sha256_of_all([path])}" if size <= HASHED_BYTES else f"{size} bytes"
