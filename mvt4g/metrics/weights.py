"""Local files of the networks that metrics look through."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MetricWeights:
    """Local files of the networks that metrics look through; a metric whose files are not given does not run.

    Attributes:
        dino_vits16: DINO ViT-S/16, for MEt3R and view synchronisation (``dino_deitsmall16_pretrain.pth``).
        dino_vitb16: DINO ViT-B/16, for subject consistency (``dino_vitbase16_pretrain.pth``).
        clip_vitb32: OpenAI's CLIP ViT-B/32, for background consistency.
        clip_vitl14: OpenAI's CLIP ViT-L/14, for aesthetic quality.
        aesthetic_head: LAION's linear head on it (``sa_0_4_vit_l_14_linear.pth``).
        musiq_spaq: MUSIQ trained on SPAQ, for imaging quality.
        raft: torchvision's RAFT large, for dynamic degree; VBench's is ``raft_large_C_T_V1-22a6c225.pth``.
        alexnet: torchvision's AlexNet, for LPIPS.
        i3d: I3D trained on Kinetics-400, for the Fréchet video distance.
    """

    dino_vits16: Path | None = None
    dino_vitb16: Path | None = None
    clip_vitb32: Path | None = None
    clip_vitl14: Path | None = None
    aesthetic_head: Path | None = None
    musiq_spaq: Path | None = None
    raft: Path | None = None
    alexnet: Path | None = None
    i3d: Path | None = None

    def path(self, name: str) -> Path:
        """Return a file that is given."""
        found: Path | None = getattr(self, name)
        assert found is not None, "presets ask for no metric whose weights are not given"
        return found

    def load(self, name: str, build: Callable[[Path], Any]) -> Any:
        """Return what ``build`` makes of a file that is given.

        Args:
            name: Of the file.
            build: Reads it into a network that is only run.
        """
        return build(self.path(name))


@dataclass(frozen=True)
class LoadedOnce(MetricWeights):
    """The same files, each read once by each ``build``: metrics of one collection share the networks.

    Attributes:
        loaded: Networks by file and ``build``.
    """

    loaded: dict[tuple[str, Callable[[Path], Any]], Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, files: MetricWeights) -> "LoadedOnce":
        """Return the same files with nothing loaded yet."""
        return cls(**{part.name: getattr(files, part.name) for part in fields(MetricWeights)})

    def load(self, name: str, build: Callable[[Path], Any]) -> Any:
        """Return what ``build`` made of the file the first time."""
        key = (name, build)
        if key not in self.loaded:
            self.loaded[key] = super().load(name, build)
        return self.loaded[key]
