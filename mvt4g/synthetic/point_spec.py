"""Which points of a scene are tracked, all values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PointSpec:
    """The tracked points.

    Attributes:
        count: Points a clip; padded (``point_valid`` False) only where a scene shows fewer pixels.
        foreground: Share of them on objects, equal for every object seen.
        depth_tolerance: A point is hidden when all depths about it are nearer than (1 - this) times its own.
    """

    count: int = 128
    foreground: float = 0.5
    depth_tolerance: float = 0.01
