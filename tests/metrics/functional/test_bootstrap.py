"""The bootstrap interval: known coverage, the same in every run, no spread invented."""

import pytest
import torch

from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.types import InputError


def test_it_covers_the_true_mean_about_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(200, 40, generator=generator, dtype=torch.float64)
    covered = [bool(low <= 0 <= high) for low, high in map(bootstrap_interval, samples)]
    assert 0.88 <= sum(covered) / len(covered) <= 0.98


def test_it_is_as_wide_as_the_normal_interval_of_many_values():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = bootstrap_interval(values)
    assert float(high - low) == pytest.approx(2 * 1.96 * float(values.std()) / 20, rel=0.1)
    narrow_low, narrow_high = bootstrap_interval(values, level=0.5)
    assert low < narrow_low < values.mean() < narrow_high < high


def test_missing_values_are_left_out_and_two_runs_agree():
    values = torch.tensor([1.0, torch.nan, 2.0, 4.0])
    assert bootstrap_interval(values) == bootstrap_interval(values[~values.isnan()])


def test_the_order_of_videos_which_ranks_change_changes_nothing():
    values = torch.randn(9, generator=torch.Generator().manual_seed(2))
    of_two_ranks = torch.cat([values[::2], values[1::2]])
    assert bootstrap_interval(of_two_ranks) == bootstrap_interval(values)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")]])
def test_fewer_than_two_values_have_no_interval(values):
    assert all(end.isnan() for end in bootstrap_interval(torch.tensor(values)))


def test_a_level_outside_its_range_is_refused():
    with pytest.raises(InputError, match=r"level: got 95"):
        bootstrap_interval(torch.ones(3), level=95.0)
