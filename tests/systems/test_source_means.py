import torch

from mvt4g.systems.source_means import source_means

TERM = torch.tensor([1.0, 2.0, 3.0, 10.0])
NAMES = ("a/0", "b/0", "a/x/1", "plain")


def test_each_source_has_the_mean_of_its_clips():
    assert source_means(TERM, NAMES) == {"a": 2.0, "b": 2.0}


def test_clips_without_the_term_do_not_count():
    assert source_means(TERM, NAMES, torch.tensor([True, False, False, True])) == {"a": 1.0}


def test_clips_without_a_source_have_no_entry():
    assert source_means(TERM, ("w", "x", "y", "z")) == {}
