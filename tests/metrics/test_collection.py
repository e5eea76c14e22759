"""The collection: every member gets what it asks for, nothing stops the others, every video keeps its row."""

from dataclasses import replace

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video.frechet_video import FrechetVideoDistance
from mvt4g.types import GeneratedVideos, InputError
from tests.metrics.view_records import generated_videos

pytestmark = pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")


class Brightness(PerVideoMetric):
    """Needs the video alone; a single score."""

    higher_is_better, is_differentiable = None, False

    def __init__(self) -> None:
        super().__init__(["brightness"])

    def update(self, video: Float[Tensor, "b t 3 h w"]) -> None:
        self.add_videos(brightness=video.mean(dim=(1, 2, 3, 4)))

    def compute(self) -> Tensor:
        return self.mean("brightness")


class Error(PerVideoMetric):
    """Needs the truth too; a family."""

    higher_is_better, is_differentiable = False, False

    def __init__(self) -> None:
        super().__init__(["l1", "num_pixels"])

    def update(self, video: Float[Tensor, "b t 3 h w"], target_video: Float[Tensor, "b t 3 h w"]) -> None:
        error = (video - target_video).abs().mean(dim=(1, 2, 3, 4))
        self.add_videos(l1=error, num_pixels=torch.full_like(error, video[0].numel()))

    def compute(self) -> dict[str, Tensor]:
        return {"l1": self.mean("l1"), "num_pixels": self.total("num_pixels")}


class Strange(Metric):
    def update(self, colour: Tensor) -> None: ...

    def compute(self) -> Tensor:
        return torch.zeros(())


def videos(*levels: float, truth: float | None = None) -> GeneratedVideos:
    video = torch.stack([torch.full((2, 3, 4, 4), level) for level in levels])
    names = tuple(f"clip {level}" for level in levels)
    return generated_videos(names, video, target_video=None if truth is None else torch.full_like(video, truth))


@pytest.fixture
def metrics() -> NovelViewMetrics:
    return NovelViewMetrics({"brightness": Brightness(), "error": Error()})


def test_keys_carry_member_and_score(metrics):
    metrics.update(videos(0.25, 0.75, truth=0.0))
    scores = metrics.compute()
    assert {key: float(value) for key, value in scores.items()} == {
        "brightness": 0.5, "error/l1": 0.5, "error/num_pixels": 2 * 96, "num_videos": 2,
    }  # fmt: skip


def test_a_member_without_its_inputs_has_no_value_and_stops_nobody(metrics):
    metrics.update(videos(0.25, truth=0.0))
    metrics.update(videos(0.75, 0.5))
    assert metrics.compute()["brightness"] == 0.5
    assert metrics.compute()["error/l1"] == 0.25
    table = metrics.table()
    assert table.names == ("clip 0.25", "clip 0.5", "clip 0.75"), "rows are by name, whatever rank had them"
    assert table.scores["brightness"].tolist() == [0.25, 0.5, 0.75]
    torch.testing.assert_close(
        table.scores["error/l1"], torch.tensor([0.25, torch.nan, torch.nan]).double(), equal_nan=True
    )
    summary = table.summary()
    assert (summary["error/l1"].num_videos, summary["error/l1"].num_missing) == (1, 2)
    assert summary["brightness"].low < 0.5 < summary["brightness"].high
    assert "error/num_pixels" not in summary


def test_a_video_seen_twice_has_one_row(metrics):
    """As when Lightning's sampler pads the ranks."""
    for batch in (videos(0.25, 0.5), videos(0.25, 0.75)):
        metrics.update(batch)
    assert metrics.table().names == ("clip 0.25", "clip 0.5", "clip 0.75")
    assert metrics.table().scores["brightness"].tolist() == [0.25, 0.5, 0.75]


def test_a_video_seen_twice_counts_once(metrics):
    """In the means as in the table, whatever was computed before."""
    for batch in (videos(0.25, 0.5, truth=0.0), videos(0.25, 0.75, truth=0.0)):
        metrics.update(batch)
        metrics.compute()
    scores, table = metrics.compute(), metrics.table()
    assert (scores["brightness"], scores["num_videos"], scores["error/num_pixels"]) == (0.5, 3, 3 * 96)
    assert metrics["brightness"].compute() == 0.4375, "the member alone knows no names"
    assert metrics.compute()["brightness"] == table.scores["brightness"].mean() == 0.5


def two_ranks_that_saw_one_video_count_it_once(rank: int) -> None:
    """Run by ``test_contract.py`` in each of its two processes."""
    metrics = NovelViewMetrics({"brightness": Brightness(), "error": Error()})
    if rank == 0:
        metrics.update(videos(0.25, truth=0.0))
        metrics.update(replace(videos(0.75), notes=("without truth",)))
    else:
        metrics.update(videos(0.5, 0.25, truth=0.0))
    for _ in range(2):
        scores, table = metrics.compute(), metrics.table()
        assert (scores["brightness"], scores["error/l1"], scores["num_videos"]) == (0.5, 0.375, 3), scores
        assert table.names == ("clip 0.25", "clip 0.5", "clip 0.75"), table
        assert table.notes == ("", "", "without truth"), table
        assert table.scores["brightness"].tolist() == [0.25, 0.5, 0.75], table


def test_videos_without_a_name_are_all_different(metrics):
    for level in (0.25, 0.75):
        metrics.update(replace(videos(level), names=("",)))
    assert metrics.table().scores["brightness"].tolist() == [0.25, 0.75]
    assert metrics.compute()["num_videos"] == 2


def test_what_was_not_known_and_what_is_told_of_videos_is_kept():
    metrics = NovelViewMetrics({"error": Error()}, {"lpips": "needs alexnet"})
    metrics.update(videos(0.25, truth=0.0))
    assert metrics.remarks() == {"lpips": "not run: needs alexnet"}
    metrics.update(replace(videos(0.5, 0.25), notes=("no camera", "as before")))
    assert metrics.remarks() == {"error": "needs target_video", "lpips": "not run: needs alexnet"}
    assert metrics.table().notes == ("", "no camera")
    metrics.reset()
    assert metrics.remarks() == {"lpips": "not run: needs alexnet"}


def test_what_only_the_set_has_is_in_the_table():
    distance = FrechetVideoDistance(lambda video: video.flatten(1)[:, :1], feature_dim=1, name="fvd")
    metrics = NovelViewMetrics({"brightness": Brightness(), "fvd": distance})
    metrics.update(videos(0.25, 0.75, 0.5, truth=0.0))
    table = metrics.table()
    assert table.of_the_set == {"fvd": pytest.approx(float(metrics.compute()["fvd"]))}
    assert table.of_the_set["fvd"] > 0
    assert set(table.scores) == {"brightness"}


def test_nothing_yet_is_nan(metrics):
    assert metrics.compute()["brightness"].isnan()
    assert metrics.compute()["num_videos"] == 0
    assert metrics.table().names == ()
    assert metrics.table().summary()["brightness"].num_videos == 0


def test_reset_forgets(metrics):
    metrics.update(videos(0.25))
    metrics.reset()
    metrics.update(videos(0.75))
    assert metrics.table().names == ("clip 0.75",)
    assert metrics.compute()["brightness"] == 0.75


def test_an_update_after_a_result_counts(metrics):
    metrics.update(videos(0.25))
    assert metrics.compute()["error/l1"].isnan()
    metrics.update(videos(0.75, truth=0.5))
    assert metrics.compute()["error/l1"] == 0.25


def test_a_member_that_wants_something_else_is_refused():
    with pytest.raises(InputError, match="paint: its update wants colour"):
        NovelViewMetrics({"paint": Strange()})
