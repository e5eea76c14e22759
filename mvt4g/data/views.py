"""The two views of a clip that a sample is: the reference and the target."""

import itertools
from dataclasses import dataclass

import numpy as np

from mvt4g.ranges import Natural, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class ViewSpec:
    """Which views may be the reference and which the target.

    Attributes:
        reference: Numbers of views; None = all.
        target: Numbers of views; None = all.
        same: Whether a training sample's target may be its reference's own view, as in ReDirector's training. Held-out
            clips show two different views where there are any.
    """

    reference: tuple[Natural, ...] | None = None
    target: tuple[Natural, ...] | None = None
    same: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: If a list is empty or holds a negative number.
        """
        check_ranges(self, "sampling.views")
        for side in ("reference", "target"):
            views = getattr(self, side)
            if views is not None and (not views or min(views) < 0):
                want = "numbers of views, or null for all"
                raise InputError(f"sampling.views.{side}: got {views}, want {want}")

    def draw(self, num_views: int, rng: np.random.Generator, what: str) -> tuple[int, int]:
        """Draw a (reference, target), each allowed pair as often as any other.

        Args:
            num_views: Views the clip has.
            rng: Source of all randomness.
            what: The clip, for messages.

        Raises:
            InputError: If the clip has no allowed pair.
        """
        if self.same:
            pairs = self._require(self._allowed(num_views), num_views, what)
            return pairs[int(rng.integers(len(pairs)))]
        pairs = self.pairs(num_views, what)
        # The same pairs as below, drawn otherwise: one draw for both would change what a seed stands for.
        if self.reference is None and self.target is None:
            first, second = rng.choice(num_views, 2, replace=False).tolist()
            return first, second
        return pairs[int(rng.integers(len(pairs)))]

    def pairs(self, num_views: int, what: str) -> list[tuple[int, int]]:
        """Return every allowed (reference, target); the first is what held-out clips are seen with.

        Raises:
            InputError: If there is none.
        """
        allowed = self._allowed(num_views)
        pairs = [(reference, target) for reference, target in allowed if reference != target]
        if not pairs and self.same:  # a clip of one view serves as its own target
            pairs = allowed
        return self._require(pairs, num_views, what)

    def _allowed(self, num_views: int) -> list[tuple[int, int]]:
        """Return every (reference, target) that the lists allow, pairs of one view with itself among them."""
        references = self.reference or range(num_views)
        targets = self.target or range(num_views)
        pairs = itertools.product(references, targets)
        return [pair for pair in pairs if max(pair) < num_views]

    def _require(self, pairs: list[tuple[int, int]], num_views: int, what: str) -> list[tuple[int, int]]:
        """Return the pairs if there are any."""
        if not pairs:
            raise InputError(f"{what}: got {num_views} view{'s' * (num_views != 1)}, want {self._wanted()}")
        return pairs

    def _wanted(self) -> str:
        if self.reference is None and self.target is None:
            return "a reference and a target at least"
        reference = "any" if self.reference is None else f"one of {list(self.reference)}"
        target = "any" if self.target is None else f"one of {list(self.target)}"
        return f"for reference and target {reference} and {target} (sampling.views)"
