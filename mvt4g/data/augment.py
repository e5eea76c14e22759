"""Changes to the look of training samples, of which geometry knows nothing."""

from dataclasses import dataclass

from mvt4g.data.colours import JitterSpec
from mvt4g.data.eraser import EraserSpec


@dataclass(frozen=True)
class AugmentSpec:
    """How training samples are changed; all off at first.

    Attributes:
        recolour: Permute the colour channels and scale each, alike in all views and frames.
        jitter: Brightness, contrast, saturation, hue.
        eraser: Boxes that hide points.
    """

    recolour: bool = False
    jitter: JitterSpec = JitterSpec()
    eraser: EraserSpec = EraserSpec()
