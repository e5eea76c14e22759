"""Shares of a list, one for each rank."""

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, TypeVar

from torch.utils.data import DistributedSampler, Sampler

from mvt4g.data.steps import data_ranks

Item = TypeVar("Item")


class ShareSampler(DistributedSampler[int]):
    """Every ``world``-th item from this rank's own on; no item counts twice, and a rank may have none of its own.

    All ranks run as many batches, since some wait for one another in each: one that would have a batch less, or none,
    repeats an item in a last batch that ``is_repeat`` tells apart, and whose result is thrown away. It is a
    DistributedSampler so that Lightning leaves it in place.

    Args:
        items: The list.
        batch_size: Items a batch.
        rank: This process among ``world``.
        world: Processes.
    """

    def __init__(self, items: Sized, batch_size: int, rank: int, world: int) -> None:
        self.own = range(rank, len(items), world)
        self.batch_size = batch_size
        self.rank = rank
        self.num_replicas = world
        # Divisions are rounded up: the last batch, and the last rank's share, may be short.
        most = -(-len(items) // world)
        self.repeats = -(-most // batch_size) > -(-len(self.own) // batch_size)

    def __iter__(self) -> Iterator[int]:
        """Yield item numbers."""
        yield from self.own
        if self.repeats:
            yield 0

    def __len__(self) -> int:
        """Return how many items this rank runs."""
        return len(self.own) + self.repeats

    def is_repeat(self, batch_idx: int) -> bool:
        """Say whether a batch only repeats what another rank has; such an item has a batch of its own."""
        return batch_idx * self.batch_size >= len(self.own)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the order is always the same."""


class ClaimSampler(Sampler[int]):
    """The items of a list that this process may have when their turn comes: others are at the same list.

    Args:
        items: The list.
        claim: Takes an item for this process, or says that it is not to be had.
    """

    def __init__(self, items: Sequence[Item], claim: Callable[[Item], bool]) -> None:
        self.items, self.claim = items, claim

    def __iter__(self) -> Iterator[int]:
        """Yield item numbers."""
        for number, item in enumerate(self.items):
            if self.claim(item):
                yield number

    def __len__(self) -> int:
        """Return how many items this process would have if there was no other."""
        return len(self.items)


def share_of(items: Sized, batch_size: int, trainer: Any) -> ShareSampler | None:
    """Return the sampler of this rank's share of a list; None where one process has all of it.

    Args:
        items: The list.
        batch_size: Items a batch.
        trainer: Whose ranks share the list; None = one process.
    """
    kwargs: dict[str, Any] | None = None if trainer is None else trainer.distributed_sampler_kwargs
    ranks = data_ranks(kwargs)
    return None if ranks["world"] == 1 else ShareSampler(items, batch_size, **ranks)
