"""Shares of a list: every item once, as many batches on every rank, whatever the numbers."""

from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from mvt4g.data.shares import ShareSampler, share_of


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 8, 9, 12, 13])
def test_every_item_counts_once_and_ranks_run_in_step(count: int, batch_size: int, world: int) -> None:
    items, counted, batches = list(range(count)), [], set()
    for rank in range(world):
        sampler = ShareSampler(items, batch_size, rank, world)
        loader = DataLoader(items, batch_size=batch_size, sampler=sampler)  # type: ignore[arg-type]
        batches.add(len(loader))
        for number, batch in enumerate(loader):
            if not sampler.is_repeat(number):
                counted += batch.tolist()
            else:
                assert batch.tolist() == [0], "one item, alone in the last batch"
    assert sorted(counted) == items
    assert len(batches) == 1


def test_one_process_needs_no_sampler() -> None:
    assert share_of(range(3), 1, None) is None
    assert share_of(range(3), 1, SimpleNamespace(distributed_sampler_kwargs=None)) is None
    ranks = SimpleNamespace(distributed_sampler_kwargs={"num_replicas": 2, "rank": 1})
    assert list(share_of(range(3), 1, ranks)) == [1, 0], "the second rank repeats an item"
