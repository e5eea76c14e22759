"""How much a loss counts over the steps of a training: all the way, or let go."""

from dataclasses import dataclass

from mvt4g.ranges import Natural, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class StepGate:
    """Factor 1 up to step ``fall_from``, falling linearly to ``last`` at ``fall_to`` and staying; by default always 1.

    Supervised attention comes early; kept on, the supervision pulls against L_diff.

    Attributes:
        fall_from: Last optimizer step that counts in full.
        fall_to: First step that counts ``last``; None = the factor never falls.
        last: What is left, in [0, 1].
    """

    fall_from: Natural = 0
    fall_to: Natural | None = None
    last: Share = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "steps")
        if self.fall_to is not None and self.fall_to <= self.fall_from:
            got = f"fall_from {self.fall_from} and fall_to {self.fall_to}"
            raise InputError(f"steps: got {got}, want 0 <= fall_from < fall_to, or null")

    def __call__(self, step: int) -> float:
        """Return the factor at an optimizer step, counted from 0."""
        if self.fall_to is None or step <= self.fall_from:
            return 1.0
        left = max(self.fall_to - step, 0) / (self.fall_to - self.fall_from)
        return self.last + (1 - self.last) * left
