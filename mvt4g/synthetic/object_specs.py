"""The rigid bodies of a scene, one spec for each way of placing them; lengths in scene units, pairs are ranges."""

from dataclasses import dataclass
from typing import Literal

from mvt4g.ranges import Few, Natural, NonNegative, OpenShare, Positive, Share

ShapeKind = Literal[
    "box", "ellipsoid", "cylinder", "capsule", "superquadric", "cone", "wedge", "torus", "dumbbell", "bracket", "mesh"
]
PrimitiveKind = Literal[
    "box", "ellipsoid", "cylinder", "capsule", "superquadric", "cone", "wedge", "torus", "dumbbell", "bracket"
]
Region = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Ranges along x, y and z."""


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

    resting: tuple[Few, Few] = (1, 2)
    thrown: tuple[Few, Few] = (1, 2)
    size: tuple[Positive, Positive] = (1.0, 1.9)
    spawn_radius: NonNegative = 2.2
    speed: tuple[NonNegative, NonNegative] = (2.0, 4.0)
    spin: NonNegative = 3.0
    restitution: OpenShare = 0.5
    kinds: tuple[PrimitiveKind, ...] = ("box", "ellipsoid", "cylinder", "capsule")


@dataclass(frozen=True)
class SurfaceSpec:
    """What touching does; drawn once a scene. Two surfaces meet with the product of their values, as in Bullet.

    Attributes:
        floor_friction: Coefficient of the floor.
        floor_restitution: Of the floor.
        friction: Coefficient of every body.
        restitution: Of every body.
    """

    floor_friction: tuple[NonNegative, NonNegative] = (0.3, 0.3)
    floor_restitution: tuple[Share, Share] = (0.5, 0.5)
    friction: tuple[NonNegative, NonNegative] = (0.5, 0.5)
    restitution: tuple[Share, Share] = (0.5, 0.5)


@dataclass(frozen=True)
class DroppedObjects:
    """Bodies dropped into a box of air and left to settle, then others thrown among them.

    Attributes:
        static: How many are dropped first; they are at rest when the clip starts, unless they lie where they slide.
        dynamic: How many are thrown.
        size: Longest side of a body.
        static_region: Where a dropped body's bounding box lies at the start.
        dynamic_region: Where a thrown body's bounding box lies.
        velocity: Largest speed drawn along x, y and z for a thrown body, either way, units a second.
        centre_pull: Times its place (x, y), a second: taken off its velocity, so that it flies to the centre.
        settle: Seconds of falling before the clip, with friction 1 and no bounce.
        surfaces: Of floor and bodies during the clip.
        mass_exponent: Masses grow with this power of the size; 3 = alike densities.
        first_frame: Frames between throwing and the first that is shown.
        kinds: Primitives to draw from.
        meshes: Folder of OBJ, GLB and PLY files that bodies are drawn from instead; "" = none.
        mesh_share: Share of the bodies drawn from that folder.
    """

    static: tuple[Few, Few] = (10, 20)
    dynamic: tuple[Few, Few] = (1, 3)
    size: tuple[Positive, Positive] = (0.75, 3.0)
    static_region: Region = ((-7.0, 7.0), (-7.0, 7.0), (0.0, 10.0))
    dynamic_region: Region = ((-5.0, 5.0), (-5.0, 5.0), (1.0, 5.0))
    velocity: tuple[NonNegative, NonNegative, NonNegative] = (4.0, 4.0, 0.0)
    centre_pull: tuple[float, float] = (1.0, 1.0)
    settle: NonNegative = 100 / 12
    surfaces: SurfaceSpec = SurfaceSpec()
    mass_exponent: float = 3.0
    first_frame: Natural = 1
    kinds: tuple[PrimitiveKind, ...] = (
        "box", "ellipsoid", "cylinder", "capsule", "superquadric", "cone", "wedge", "torus", "dumbbell", "bracket",
    )  # fmt: skip
    meshes: str = ""
    mesh_share: Share = 1.0
