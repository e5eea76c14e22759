"""Where a scene is seen from, one spec for each way of placing cameras; lengths in scene units, pairs are ranges."""

from dataclasses import dataclass

from mvt4g.ranges import Angle, Elevation, FieldOfView, Natural, NonNegative, Positive, Share


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

    radius: tuple[Positive, Positive] = (7.5, 8.5)
    elevation: tuple[Elevation, Elevation] = (30.0, 45.0)
    separation: tuple[Angle, Angle] = (6.0, 20.0)
    travel: tuple[NonNegative, NonNegative] = (0.2, 0.8)
    look_at_radius: NonNegative = 0.3
    fov: tuple[FieldOfView, FieldOfView] = (42.0, 46.0)


@dataclass(frozen=True)
class LinearCameras:
    """MOVi-E's and MOVi-F's: each view on its own straight path within half a shell, looking at one point.

    Attributes:
        radius: Distance from the world's origin at both ends of a path.
        travel: Length of a path.
        lowest: Both ends are higher than this; it also cuts the shell's rim (see ``linear_cameras``).
        margin: Frames of a path before the first and after the last that are shown.
        look_at: World point in the middle of all images.
        focal: Focal length in image widths.
    """

    radius: tuple[Positive, Positive] = (8.0, 12.0)
    travel: tuple[NonNegative, NonNegative] = (0.0, 4.0)
    lowest: float = 0.1
    margin: Natural = 1
    look_at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    focal: Positive = 35 / 32


@dataclass(frozen=True)
class RingCameras:
    """Kubric-4D's: cameras that stand still on rings about a point. Fewer views than places are drawn among them.

    Attributes:
        counts: Places on each ring, evenly spread.
        elevations: Of each ring as seen from the point, degrees.
        azimuths: Of the first place of each ring, degrees.
        distance: From the point.
        look_at: The point, world frame.
        focal: Focal length in image widths.
    """

    counts: tuple[Natural, ...] = (4, 12)
    elevations: tuple[Elevation, ...] = (45.0, 5.0)
    azimuths: tuple[float, ...] = (0.0, 15.0)
    distance: Positive = 15.0
    look_at: tuple[float, float, float] = (0.0, 0.0, 1.0)
    focal: Positive = 1.0


@dataclass(frozen=True)
class MotionRanges:
    """How far a camera moves over a clip, either way.

    Attributes:
        pan: Turn about the vertical through itself, degrees.
        tilt: Turn about its own horizontal axis, degrees.
        arc: Turn of its place about the vertical through the point it looks at, degrees.
        translation: Path along one of its own axes, in its distance from that point.
        easing: Rate a of the eased speed law (1 - exp(-a u)) / (1 - exp(-a)), of either sign.
    """

    pan: tuple[Angle, Angle] = (5.0, 45.0)
    tilt: tuple[Angle, Angle] = (5.0, 30.0)
    arc: tuple[Angle, Angle] = (15.0, 75.0)
    translation: tuple[NonNegative, NonNegative] = (0.25, 1.0)
    easing: tuple[Positive, Positive] = (1.0, 4.0)


@dataclass(frozen=True)
class RecamCameras:
    """Cameras that move as MultiCamVideo's, ReCamMaster's training set: each view one pan, tilt, arc or translation.

    Attributes:
        distance: From the point looked at, in the first frame.
        elevation: Of a camera as seen from that point in the first frame, degrees.
        separation: Largest azimuth between the starts of the reference and of another view, degrees.
        shared_start: Share of clips whose views all start from the reference's first pose.
        static_reference: Share of clips whose reference stands still.
        eased: Share of views whose speed changes.
        lenses: Focal lengths, one a clip, in widths of the image.
        motions: How far cameras move.
    """

    distance: tuple[Positive, Positive] = (6.0, 10.0)
    elevation: tuple[Elevation, Elevation] = (5.0, 35.0)
    separation: Angle = 60.0
    shared_start: Share = 0.5
    static_reference: Share = 0.5
    eased: Share = 0.5
    lenses: tuple[Positive, ...] = (18 / 23.76, 24 / 23.76, 35 / 23.76, 50 / 23.76)
    motions: MotionRanges = MotionRanges()
