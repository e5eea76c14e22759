import itertools
import math
from collections import Counter

import pytest

from mvt4g.data.mixture import BLOCK, Turns, keep_common, name_after, source_of
from mvt4g.types import InputError, MultiViewClip
from tests.data.made_up_clips import moving_clip, video_and_cameras

WEIGHTS = (3.0, 1.0, 0.5)


def test_weights_are_respected():
    for first, count in ((0, 400), (700, 900), (5 * BLOCK, BLOCK)):
        turns = Turns(WEIGHTS, 0)
        counts = Counter(turns(sample)[0] for sample in range(first, first + count))
        for source, weight in enumerate(WEIGHTS):
            share = weight / sum(WEIGHTS)
            assert abs(counts[source] - count * share) < 3 * math.sqrt(count * share * (1 - share))


def test_a_block_has_every_share_exactly():
    counts = Counter(Turns(WEIGHTS, 3)(sample)[0] for sample in range(BLOCK, 2 * BLOCK))
    assert [counts[source] for source in range(3)] == [667, 222, 111]


def test_visits_count_each_source_s_samples_in_order():
    turns, visited = Turns(WEIGHTS, 1), Counter()
    for sample in range(2 * BLOCK + 50):
        source, visit = turns(sample)
        assert visit == visited[source]
        visited[source] += 1


def test_the_order_follows_the_seed_and_no_one_else():
    def order(seed, samples):
        turns = Turns(WEIGHTS, seed)
        return [turns(sample) for sample in samples]

    samples = list(range(100))
    assert order(0, samples) == order(0, samples[::-1])[::-1]
    assert order(0, samples) != order(1, samples)


def test_a_single_source_has_every_turn():
    turns = Turns([0.2], 0)
    assert [turns(sample) for sample in (0, 7, 10**9)] == [(0, 0), (0, 7), (0, 10**9)]


def test_a_weight_too_small_to_have_a_turn_is_refused():
    with pytest.raises(InputError, match=r"sampling\.sources\.weight: got 0\.0001 of 1\.0001, want at least"):
        Turns([1.0, 0.0001], 0)


def test_clips_made_alike_make_a_batch():
    with_tracks, without = moving_clip(), video_and_cameras()
    with pytest.raises(InputError, match="missing in clip"):
        MultiViewClip.stack([with_tracks, without])
    one, other = keep_common(with_tracks), keep_common(without)
    assert one.depth is one.instances is one.points_world is None
    assert (one.tracks is None, other.tracks is None) == (False, True), "points are the sampling's affair"
    assert one.caption == other.caption == ""


@pytest.mark.parametrize(
    ("source", "name"), [*itertools.product(["", "mvtracker", "a.b-c_1"], ["0003", "train/scene 1/0003"])]
)
def test_a_name_tells_its_source(source, name):
    clip = name_after(source, moving_clip(name=name))
    assert clip.name == (f"{source}/{name}" if source else name)
    assert source_of(clip.name) == (source or ("train" if "/" in name else ""))
