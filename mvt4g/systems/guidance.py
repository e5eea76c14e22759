"""The texts that videos are generated for, read once from the files that ``mvt4g encode-prompts`` wrote."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.latent_file import read_prompt
from mvt4g.types import InputError


@dataclass(frozen=True)
class GuidanceSpec:
    """What generated videos are to follow, and how much.

    Attributes:
        text: Embedding for every clip that brings none; null = the learned null text, and no guidance.
        negative: Embedding to lead away from, such as Wan's negative prompt; null = the learned null text.
        scale: 1 = none, at one pass a step; ReCamMaster and ReDirector sample with 5, at two.
    """

    text: Path | None = None
    negative: Path | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            InputError: If ``scale`` is under 1.
        """
        if self.scale < 1:
            raise InputError(f"evaluation.guidance.scale: got {self.scale}, want at least 1")


class Guidance:
    """Arguments of ``NovelViewModel.generate``.

    Raises:
        InputError: If a file is not there or broken.
    """

    def __init__(self, spec: GuidanceSpec) -> None:
        self.scale = spec.scale
        self.text, self.negative = (
            None if path is None else read_prompt(path)[None] for path in (spec.text, spec.negative)
        )

    def arguments(
        self, batch: int, device: torch.device, own: Float[Tensor, "b l text_d"] | None = None
    ) -> dict[str, Any]:
        """Return text, negative text and scale for a batch.

        Args:
            own: The clips' texts, which come first.
        """
        text = own if own is not None else _for_all(self.text, batch, device)
        negative = _for_all(self.negative, batch, device)
        return {"text": text, "negative_text": negative, "guidance_scale": self.scale}


def _for_all(text: Tensor | None, batch: int, device: torch.device) -> Tensor | None:
    return None if text is None else text.to(device).expand(batch, -1, -1)
