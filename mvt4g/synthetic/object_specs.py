"""The rigid bodies of a scene, one spec for each way of placing them; lengths in scene units, pairs are ranges."""

from dataclasses import dataclass
from typing import Literal

ShapeKind = Literal["box", "ellipsoid", "cylinder", "capsule"]


@dataclass(frozen=True)
class ObjectSpec:
    """The rigid bodies.

    Attributes:
        resting: How many lie on the ground.
        thrown: How many fly; each is dynamic from the first frame.
        size: Longest side of a body.
        spawn_radius: Horizontal distance from the centre within which bodies start.
        speed: Horizontal speed of a thrown body, units a second.
        spin: Largest angular speed of a thrown body, radians a second.
        restitution: Share of the speed a bounce keeps, 0 < e < 1.
        kinds: Shapes to draw from.
    """

    resting: tuple[int, int] = (1, 2)
    thrown: tuple[int, int] = (1, 2)
    size: tuple[float, float] = (1.0, 1.9)
    spawn_radius: float = 2.2
    speed: tuple[float, float] = (2.0, 4.0)
    spin: float = 3.0
    restitution: float = 0.5
    kinds: tuple[ShapeKind, ...] = ("box", "ellipsoid", "cylinder", "capsule")
