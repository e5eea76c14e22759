"""Whether ``predict`` lifts what it generates into a scene, and by which depth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mvt4g.types import InputError


@dataclass(frozen=True)
class PredictionLift:
    """What ``predict`` writes beside each generated video: ``scene4d.npz`` and ``scene.html``.

    Attributes:
        depth: "plane" before the reference's first camera, or by a "model".
        model: A local folder of a depth network of transformers.
        clouds: Write ``clouds/`` too: about 15 bytes a pixel.
    """

    depth: Literal["plane", "model"] = "plane"
    model: Path | None = None
    clouds: bool = False

    def __post_init__(self) -> None:
        """Check that a model is there where it is asked for.

        Raises:
            InputError: If it is not.
        """
        if (self.depth == "model") != (self.model is not None):
            got = "null" if self.model is None else self.model
            want = "a folder of a depth network" if self.depth == "model" else "null, or depth: model"
            raise InputError(f"evaluation.lift.model: got {got} with depth {self.depth}, want {want}")
