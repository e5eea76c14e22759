import itertools

import pytest

from mvt4g.data.steps import StepSampler


def test_step_sampler_by_hand():
    def take(count, **arguments):
        return list(itertools.islice(StepSampler(**arguments), count))

    assert take(5, step=lambda: 0, batch_size=2) == [0, 1, 2, 3, 4]
    # 2 ranks, 3 micro-batches a step, 2 a batch: a step takes 12 samples; rank 1 has the odd batches
    assert take(4, step=lambda: 5, batch_size=2, accumulate=3, rank=1, world=2) == [62, 63, 66, 67]


def test_ranks_and_steps_share_out_all_samples():
    step = 3
    taken = [
        sample
        for rank in range(3)
        for sample in itertools.islice(StepSampler(lambda: step, 4, accumulate=2, rank=rank, world=3), 2 * 2 * 4)
    ]
    assert sorted(taken) == list(range(3 * 24, 5 * 24))


def test_the_sampler_has_no_length():
    with pytest.raises(TypeError, match="no length"):
        len(StepSampler(lambda: 0, 1))
