"""What means of rotation error, translation error and CamMC can be together."""

import math


def camera_fault(rotation_deg: float, translation: float, cam_mc: float, rounding: float = 0.0) -> str:
    """Return how the means of rotation error, translation error and CamMC contradict each other, or "".

    A frame's CamMC is ``hypot(c, t)``, where c is the chord of its rotation error r, ``2 sqrt(2) sin(r / 2)``, and t
    its translation error. Of means over frames ``c + t`` is an upper bound. ``hypot(c, t)`` is a lower bound as long as
    the sine is nearly straight, which it is for small errors. The lower bound for errors of any size has the straight
    line from 0 to 180 degrees in the place of the chord.

    Args:
        rotation_deg: Mean over frames and videos, degrees.
        translation: Mean over the same, of paths divided by their own largest norms.
        cam_mc: Likewise.
        rounding: What each number may be off by for having been rounded.

    Source: reference notes ``metrics.md`` section 0: all rows of the paper's table keep within these bounds.
    """
    least_chord = _chord(max(rotation_deg - rounding, 0.0))
    most_chord = _chord(min(rotation_deg + rounding, 180.0))
    least = math.hypot(least_chord, max(translation - rounding, 0.0)) - rounding
    most = most_chord + translation + 2 * rounding
    slack = 1e-9  # float64 sums of the same numbers in another order
    if cam_mc > most + slack:
        return f"mCamMC {cam_mc:.3f} is over {most:.3f}, the most that its mRotErr and mTransErr allow"
    if cam_mc < least - slack:
        certain = math.hypot(2 * math.sqrt(2) * max(rotation_deg - rounding, 0.0) / 180, translation - rounding)
        how = "which no errors can give" if cam_mc < certain - rounding else "which only a few large rotations can give"
        return f"mCamMC {cam_mc:.3f} is under {least:.3f}, the least of small mRotErr and mTransErr, {how}"
    return ""


def _chord(rotation_deg: float) -> float:
    return 2 * math.sqrt(2) * math.sin(math.radians(rotation_deg) / 2)
