"""The order of the samples of training, counted in steps."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DistributedSampler


class StepSampler(DistributedSampler[int]):
    """Endless sample numbers of one rank, from a global step on: the same whether training ran through or resumed.

    Sample number = ((step * accumulate + micro-batch) * world + rank) * batch + place in the batch. It is a
    DistributedSampler so that Lightning leaves it in place on several ranks, and has no length.
    """

    def __init__(
        self, step: Callable[[], int], batch_size: int, accumulate: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        """Describe the ranks; DistributedSampler's own arguments do not apply.

        Args:
            step: Tells the optimizer steps done; asked each time iteration starts.
            batch_size: Samples a micro-batch of one rank.
            accumulate: Micro-batches an optimizer step.
            rank: This process among ``world``.
            world: Processes.
        """
        self.step = step
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[int]:
        """Yield sample numbers without end."""
        # Asked here and not at construction: a resumed fit knows its step only now.
        micro_batch = self.step() * self.accumulate
        while True:
            first = (micro_batch * self.world + self.rank) * self.batch_size
            yield from range(first, first + self.batch_size)
            micro_batch += 1

    def __len__(self) -> int:
        """There is none.

        Raises:
            TypeError: Always; DataLoader and Lightning take it as endless.
        """
        raise TypeError("training is counted in steps: its sampler has no length")


def data_ranks(sampler_kwargs: dict[str, Any] | None) -> dict[str, int]:
    """Return rank and world of those that see different samples: ranks that share a sequence count as one.

    Args:
        sampler_kwargs: The trainer's ``distributed_sampler_kwargs``; None = one process.
    """
    if sampler_kwargs is None:
        return {"rank": 0, "world": 1}
    return {"rank": sampler_kwargs["rank"], "world": sampler_kwargs["num_replicas"]}
