"""Where a scene is seen from, one spec for each way of placing cameras; lengths in scene units, pairs are ranges."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraSpec:
    """The cameras: each on a shell about the centre, moving in a straight line, looking near the centre.

    Attributes:
        radius: Distance of a camera from the centre in the middle of its path.
        elevation: Angle above the ground of the middle of all views, degrees.
        separation: Least and largest angle between the directions of two views at any frame, degrees.
        travel: Length of a camera's path over the clip.
        look_at_radius: How far from the centre the point a camera looks at may lie.
        fov: Horizontal field of view, degrees.
    """

    radius: tuple[float, float] = (7.5, 8.5)
    elevation: tuple[float, float] = (30.0, 45.0)
    separation: tuple[float, float] = (6.0, 20.0)
    travel: tuple[float, float] = (0.2, 0.8)
    look_at_radius: float = 0.3
    fov: tuple[float, float] = (42.0, 46.0)
