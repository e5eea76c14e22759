"""The rule by which tracks of a tracker are trusted, apart from their reader: a configuration needs no PyAV."""

from dataclasses import dataclass

from mvt4g.ranges import Positive, Share, check_ranges


@dataclass(frozen=True)
class PseudoTrackFilter:
    """Which tracks of a tracker are trusted.

    Attributes:
        min_confidence: Least confidence of an entry, where the file says any.
        max_cycle_px: Farthest that an entry may lie from where it is found the other way, pixels, where the file says.
        min_share: A point is left out if a smaller share of its visible entries is trusted.
    """

    min_confidence: Share = 0.5
    max_cycle_px: Positive = 3.0
    min_share: Share = 0.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range.
        """
        check_ranges(self, "pseudo_tracks")
