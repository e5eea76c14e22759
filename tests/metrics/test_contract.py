"""What every metric of the package keeps: batches and ranks add up, it can be forgotten, copied, sent and saved."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import re
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import distributed as dist
from torch.multiprocessing import start_processes
from torchmetrics import Metric, MetricCollection

import mvt4g.metrics
from mvt4g.metrics.collection import required_inputs
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import InputError
from tests.metrics.cases.case import MetricCase
from tests.metrics.test_collection import two_ranks_that_saw_one_video_count_it_once
from tests.pretend_device import SECOND, brought_back, second_device, sent

ROOMS = sorted(file.stem for file in (Path(__file__).parent / "cases").glob("*.py") if file.stem != "case")
CASES: dict[str, MetricCase] = {}
for room in ROOMS:
    CASES |= importlib.import_module(f"tests.metrics.cases.{room}").CASES
METRICS = mvt4g.metrics.__path__
pytestmark = pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")


@pytest.fixture(params=CASES, ids=str)
def case(request) -> MetricCase:
    return CASES[request.param]


def flat(result: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return result if isinstance(result, dict) else {"": result}


def assert_same(found, wanted, rtol: float = 1e-12) -> None:
    found, wanted = flat(found), flat(wanted)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=rtol, atol=1e-12, equal_nan=True, msg=f"{key}: {{}}".format)


def differ(found, wanted) -> bool:
    found, wanted = flat(found), flat(wanted)
    return any(not torch.allclose(found[key], value, equal_nan=True) for key, value in wanted.items())


def fed(case: MetricCase, *numbers: int) -> Metric:
    metric = case.make()
    for number in numbers or range(len(case.updates)):
        metric.update(**case.arguments(case.updates[number]))
    return metric


def test_every_metric_has_a_case():
    names = [found.name for found in pkgutil.walk_packages(METRICS, "mvt4g.metrics.")]
    modules = [importlib.import_module(name) for name in names]
    classes = {value for module in modules for value in vars(module).values() if inspect.isclass(value)}
    metrics = {value for value in classes if issubclass(value, Metric) and value.__module__.startswith("mvt4g")}
    assert {type(case.make()) for case in CASES.values()} == {
        value for value in metrics if not inspect.isabstract(value)
    }


def test_states_its_key_its_needs_and_its_direction(case):
    metric = case.make()
    assert re.fullmatch(r"[A-Za-z0-9_/.@]+", metric.key)
    assert isinstance(metric.higher_is_better, bool | None)
    assert set(getattr(metric, "weights", ())) <= set(MetricWeights.__dataclass_fields__)
    assert required_inputs(metric) - {"layer", "step"}, "what it cannot do without"


def test_updates_differ_and_leave_their_inputs(case):
    before = copy.deepcopy(case.updates)
    results = [fed(case, number).compute() for number in range(len(case.updates))]
    assert differ(results[0], results[1]), "the other tests of this file would prove nothing"
    for one, other in zip(before, case.updates, strict=True):
        for name, value in one.items():
            if isinstance(value, Tensor):
                assert torch.equal(value.nan_to_num(), other[name].nan_to_num()), name


def test_cut_batches_give_the_same(case):
    if not case.split:
        pytest.skip("takes one item at a time")
    metric = case.make()
    for update in case.updates:
        for item in range(len(update[case.split[0]])):
            cut = {name: update[name][item : item + 1] for name in case.split}
            metric.update(**case.arguments(update | cut))
    assert_same(metric.compute(), fed(case).compute(), rtol=1e-5 if case.half else 1e-9)


def test_computing_twice_and_updating_after_is_right(case):
    metric = fed(case, 0)
    assert_same(metric.compute(), metric.compute())
    for number in range(1, len(case.updates)):
        metric.update(**case.arguments(case.updates[number]))
    assert_same(metric.compute(), fed(case).compute())


def test_reset_forgets(case):
    metric = fed(case)
    metric.reset()
    metric.update(**case.arguments(case.updates[0]))
    assert_same(metric.compute(), fed(case, 0).compute())


def test_forward_gives_the_batch_and_keeps_the_sum(case):
    metric = case.make()
    for number, update in enumerate(case.updates):
        assert_same(metric(**case.arguments(update)), fed(case, number).compute(), rtol=1e-6)
    assert_same(metric.compute(), fed(case).compute())


def test_states_merge(case):
    """As torchmetrics gathers metrics of several machines into one."""
    metric, other = fed(case, *range(len(case.updates) - 1)), fed(case, len(case.updates) - 1)
    metric.merge_state(other)
    assert_same(metric.compute(), fed(case).compute(), rtol=1e-9)


def test_nothing_is_nan_or_a_count_of_zero(case):
    for key, value in flat(case.make().compute()).items():
        assert value.isnan().all() or ((value == 0).all() and "num_" in key), f"{key}: {value}"


def test_pickle_and_clone_carry_the_state(case):
    metric = fed(case, 0)
    for twin in (pickle.loads(pickle.dumps(metric)), metric.clone()):
        for number in range(1, len(case.updates)):
            twin.update(**case.arguments(case.updates[number]))
        assert_same(twin.compute(), fed(case).compute())
    assert_same(metric.compute(), fed(case, 0).compute())


def test_checkpoints_hold_nothing_of_it(case):
    metric = fed(case, 0)
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    metric.load_state_dict({}, strict=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_promoted(case, dtype):
    if not case.half:
        pytest.skip("is refused half precision, or takes no floats")
    low, high = case.make(), case.make()
    for update in case.updates:
        rounded = {name: update[name].to(dtype) for name in case.half}
        low.update(**case.arguments(update | rounded))
        high.update(**case.arguments(update | {name: value.float() for name, value in rounded.items()}))
    assert_same(low.compute(), high.compute())


def test_bytes_are_pictures_too(case):
    names = {"video", "target_video", "reference_video"} & case.updates[0].keys()
    if not names:
        pytest.skip("takes no pictures")
    whole, unit = case.make(), case.make()
    for update in case.updates:
        pictures = {name: (255 * update[name]).round().byte() for name in names}
        whole.update(**case.arguments(update | pictures))
        unit.update(**case.arguments(update | {name: picture.float() / 255 for name, picture in pictures.items()}))
    assert_same(whole.compute(), unit.compute())


def test_autocast_rounds_nothing(case):
    metric = case.make()
    with torch.autocast("cpu", torch.bfloat16):
        for update in case.updates:
            metric.update(**case.arguments(update))
        found = metric.compute()
    assert_same(found, fed(case).compute())


def test_wrong_shapes_are_refused(case, without_shape_hook):
    """Never broadcast: the hook, which users do not have, is off."""
    update = {name: value for name, value in case.updates[0].items() if isinstance(value, Tensor)}
    several = len(update) > 1 and type(case.make()).__name__ != "FrechetVideoDistance"  # which takes sets of any size
    for name, value in update.items():
        axes = range(min(2, value.ndim)) if several else ()
        for given in (value[None], *(value.narrow(axis, 0, value.shape[axis] - 1) for axis in axes)):
            with pytest.raises(InputError, match=r"got .*want"):
                case.make().update(**case.arguments(case.updates[0] | {name: given}))


def test_strides_do_not_matter(case):
    metric = case.make()
    for update in case.updates:
        metric.update(**case.arguments({name: strided(value) for name, value in update.items()}))
    assert_same(metric.compute(), fed(case).compute(), rtol=1e-5 if case.half else 1e-12)


def strided(value):
    """Return a tensor whose last axis lies outermost in memory."""
    return value.movedim(-1, 0).contiguous().movedim(0, -1) if isinstance(value, Tensor) and value.ndim else value


def test_inputs_of_another_device_stay_there(case):
    with second_device():
        metric = case.make().to(SECOND)
        for update in case.updates:
            metric.update(**case.arguments({name: sent(value) for name, value in update.items()}))
        found = {key: brought_back(value) for key, value in flat(metric.compute()).items()}
    assert_same(found, flat(fed(case).compute()))


def test_a_collection_lets_no_metric_stand_for_another(case):
    """After one batch on which two metrics agree, torchmetrics would go on with one of them."""
    if type(case.make()).__name__ in ("AttentionPCK", "VideoNames"):
        pytest.skip("has no option that changes its states but their size")
    collection = MetricCollection({"one": case.make(), "other": case.make()})
    collection.update(**case.arguments(case.updates[0]))
    assert len(collection.compute_groups) == 2


def test_gradients_flow_where_claimed(case):
    metric = case.make()
    assert metric.is_differentiable is bool(case.differentiable)
    if not case.differentiable:
        pytest.skip("claims none")
    leaves = {name: case.updates[0][name].clone().requires_grad_() for name in case.differentiable}
    value = flat(metric(**case.arguments(case.updates[0] | leaves)))
    total = sum(part for part in value.values() if part.requires_grad)
    for name, gradient in zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name
    states = [
        part for state in metric.metric_state.values() for part in (state if isinstance(state, list) else [state])
    ]
    assert not any(state.requires_grad for state in states), "the graph of every batch would stay in memory"


def compare_with_one_process(rank: int, meeting: Path) -> None:
    """Be one of two ranks: what both make of their shares of a case is what one process makes of all of it."""
    timeout = timedelta(minutes=2)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timeout)
    for name, case in CASES.items():
        everything = range(len(case.updates))
        for shares in ((everything, ()), (everything[::2], everything[1::2])):
            metric, alone = case.make(), case.make()
            for number in shares[rank]:
                metric.update(**case.arguments(case.updates[number]))
            alone.distributed_available_fn = lambda: False
            for number in (*shares[0], *shares[1]):
                alone.update(**case.arguments(case.updates[number]))
            try:
                assert_same(metric.compute(), alone.compute(), rtol=1e-9 if shares[1] else 0)
            except AssertionError as wrong:
                raise AssertionError(f"{name}, shares {shares}") from wrong
    two_ranks_that_saw_one_video_count_it_once(rank)
    dist.destroy_process_group()


def test_two_ranks_give_what_one_gives(tmp_path):
    """With one rank idle to the last bits, and with an uneven share; forked, so that nothing is imported again."""
    start_processes(compare_with_one_process, (tmp_path / "meeting",), nprocs=2, start_method="fork")
