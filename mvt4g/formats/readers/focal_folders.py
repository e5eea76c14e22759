"""The focal length of MultiCamVideo's scenes, which their folders' names tell: ``f24_aperture5``."""

import re
from pathlib import Path

SENSOR_MM = 23.76
"""Side of the square sensor."""
_FOCAL_FOLDER = re.compile(r"f(\d+(?:\.\d+)?)_aperture[\d.]+")


def focal_in_widths(scene: Path) -> float | None:
    """Return the focal length over the width of a frame; None where no folder's name says it."""
    named = [match for folder in scene.resolve().parts if (match := _FOCAL_FOLDER.fullmatch(folder))]
    return float(named[-1][1]) / SENSOR_MM if named else None
