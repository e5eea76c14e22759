"""The rule by which tracks of a tracker are believed, apart from their reader: a configuration needs no PyAV."""

from dataclasses import dataclass

from mvt4g.ranges import NonNegative, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class PseudoTrackFilter:
    """Which tracks of a tracker are believed.

    Attributes:
        min_confidence: Least confidence of an entry, where the file says any.
        max_cycle_px: Farthest that an entry may lie from where it is found the other way, pixels, where the file says.
        min_share: A point of whose visible entries a smaller share is believed is left out.
    """

    min_confidence: Share = 0.5
    max_cycle_px: NonNegative = 3.0
    min_share: Share = 0.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range.
        """
        check_ranges(self, "pseudo_tracks")
        for name in ("min_confidence", "min_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"pseudo_tracks.{name}: got {getattr(self, name)}, want a share in [0, 1]")
        if not self.max_cycle_px > 0:
            raise InputError(f"pseudo_tracks.max_cycle_px: got {self.max_cycle_px}, want a distance over 0")
