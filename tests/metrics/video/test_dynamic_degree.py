"""Which videos move, with flows that are known."""

import pytest
import torch

from mvt4g.metrics.video.dynamic_degree import DynamicDegree
from mvt4g.types import InputError


class Constant:
    """The same motion everywhere, and a record of what it was asked."""

    def __init__(self, length: float) -> None:
        self.length = length
        self.pairs: list[tuple[float, float]] = []

    def __call__(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        levels = [(255 * frames[:, 0, 0, 0]).round().tolist() for frames in (before, after)]
        self.pairs.extend(zip(*levels, strict=True))
        return self.length * torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(len(before), 2, *before.shape[-2:])


def counting(num_frames: int, side: int = 8, batch: int = 1) -> torch.Tensor:
    """Frame t has level t."""
    frames = torch.arange(num_frames, dtype=torch.uint8).reshape(1, -1, 1, 1, 1)
    return frames.expand(batch, -1, 3, side, side + 2)


def degree(metric: DynamicDegree, video: torch.Tensor, valid: torch.Tensor | None = None) -> float:
    metric.update(video, valid)
    return float(metric.compute()["dynamic_degree"])


@pytest.mark.parametrize(("length", "dynamic"), [(10.0, 1.0), (6.0, 0.0), (6.001, 1.0)])
def test_golden_at_256_pixels(length, dynamic):
    metric = DynamicDegree(Constant(length))
    assert degree(metric, counting(16, side=256)) == dynamic
    assert float(metric.compute()["flow_magnitude_px"]) == pytest.approx(length)


def test_the_threshold_grows_with_the_shorter_side():
    assert degree(DynamicDegree(Constant(1.49)), counting(16, side=64)) == 0.0
    assert degree(DynamicDegree(Constant(1.51)), counting(16, side=64)) == 1.0


def test_frames_are_compared_an_eighth_of_a_second_apart():
    flow = Constant(1.0)
    DynamicDegree(flow, fps=24).update(counting(11))
    assert flow.pairs == [(0, 3), (3, 6), (6, 9)]


def test_each_video_has_its_own_rate():
    flow = Constant(1.0)
    DynamicDegree(flow, fps=8).update(counting(7, batch=2), fps=torch.tensor([24.0, 16.0]))
    assert flow.pairs == [(0, 3), (3, 6), (0, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize("fps", [torch.tensor([0.0]), torch.tensor([8.0, 8.0]), torch.tensor([torch.nan])])
def test_a_rate_that_is_none_is_refused(fps, without_shape_hook):
    with pytest.raises(InputError, match="fps: got"):
        DynamicDegree(Constant(1.0)).update(counting(4), fps=fps)


def test_padding_is_not_compared():
    flow = Constant(1.0)
    valid = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    DynamicDegree(flow).update(counting(6, batch=2), valid)
    assert flow.pairs == [(t, t + 1) for t in range(3)] + [(t, t + 1) for t in range(5)]


@pytest.mark.parametrize("num_frames", [1, 2])
def test_two_frames_are_never_dynamic(num_frames):
    metric = DynamicDegree(Constant(100.0))
    metric.update(counting(num_frames))
    assert metric.compute()["dynamic_degree"].isnan()
    assert int(metric.num_missing("dynamic_degree")) == 1


def test_vbench_calls_a_still_of_two_frames_dynamic():
    assert degree(DynamicDegree(Constant(0.0), compat=True), counting(2)) == 1.0


def test_vbench_and_ours_differ_at_ten_frames():
    def two_pairs(before, after):
        moving = (before[:, 0, 0, 0] * 255).round() < 2
        return 99.0 * moving.float().reshape(-1, 1, 1, 1).expand(-1, 2, *before.shape[-2:])

    assert degree(DynamicDegree(two_pairs), counting(10)) == 0.0
    assert degree(DynamicDegree(two_pairs, compat=True), counting(10)) == 1.0


def test_share_of_videos():
    metric = DynamicDegree(Constant(0.0))
    metric.update(counting(8, batch=3))
    metric.flow = type(metric.flow)(Constant(9.0))
    metric.update(counting(8))
    metric.update(counting(1))
    assert float(metric.compute()["dynamic_degree"]) == 0.25
    assert metric.per_video("flow_magnitude_px").nan_to_num(-1).tolist() == [0, 0, 0, 9, -1]


@pytest.mark.parametrize("flow", [lambda a, b: a, lambda a, b: a[:, :2, ::2, ::2]])
def test_a_flow_of_another_shape_is_refused(flow):
    with pytest.raises(InputError, match=r"flow: got shape .*, want \(n, 2, h, w\)"):
        DynamicDegree(flow).update(counting(4))


@pytest.mark.parametrize("options", [{"fps": 0}, {"fps": -1.0}, {"pairs_at_once": 0}])
def test_wrong_options_are_named(options):
    (name,) = options
    with pytest.raises(InputError, match=f"^{name}: got "):
        DynamicDegree(Constant(1.0), **options)
