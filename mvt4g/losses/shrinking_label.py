"""How wide a Gaussian label is over the steps of a training: wide at first, when the attention is far off."""

from dataclasses import dataclass

from mvt4g.ranges import Natural, Positive, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class ShrinkingLabel:
    """Sigma of a ``gaussian`` label, in cells: ``start`` up to a step, then by equal factors down to ``end``.

    Attributes:
        start: Sigma up to step ``shrink_from``.
        end: Sigma from step ``shrink_to`` on. At 0.2 a label in the middle of its cell is a hard one.
        shrink_from: Last optimizer step at ``start``.
        shrink_to: First one at ``end``.
    """

    start: Positive = 2.0
    end: Positive = 0.3
    shrink_from: Natural = 0
    shrink_to: Natural = 1000

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "shrink")
        if self.end > self.start or self.shrink_to <= self.shrink_from:
            got = f"sigma {self.start} to {self.end} from step {self.shrink_from} to {self.shrink_to}"
            raise InputError(f"shrink: got {got}, want end <= start and shrink_from < shrink_to")

    def sigma_at(self, step: int) -> float:
        """Return sigma at an optimizer step, counted from 0."""
        gone = (step - self.shrink_from) / (self.shrink_to - self.shrink_from)
        # By equal factors: sigma falls as fast near its end as at its start, in shares of itself.
        return self.start * (self.end / self.start) ** min(max(gone, 0.0), 1.0)
