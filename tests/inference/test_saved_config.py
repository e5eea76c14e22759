"""Values of a configuration become what type hints say, under the rule of trust and of ranges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from mvt4g.diffusion.samplers import EulerSampler, HeunSampler, Sampler
from mvt4g.inference.saved_config import build_arguments, build_class, build_value
from mvt4g.models.codec import Codec, PatchCodec
from mvt4g.ranges import Share, Side
from mvt4g.types import InputError

CODEC = {"class_path": "mvt4g.models.codec.PatchCodec", "init_args": {"keep": 8}}


@dataclass(frozen=True)
class Inner:
    side: Side = 4
    share: Share = 0.5


@dataclass(frozen=True)
class Outer:
    must: int
    inner: Inner = Inner()
    path: Path | list[Path] | None = None


@pytest.mark.parametrize(
    ("hint", "value", "built"),
    [
        (int, 3, 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (float, "1e-4", 1e-4),
        (bool, True, True),
        (int | None, None, None),
        (Path | list[Path] | None, "a/b", Path("a/b")),
        (Path | list[Path] | None, ["a", "b"], [Path("a"), Path("b")]),
        (tuple[Side, Side], [3, 4], (3, 4)),
        (tuple[str, ...], [], ()),
        (Sequence[int], [1, 2], [1, 2]),
        (Literal["a", "b"], "b", "b"),
        (Any, {"class_path": "os.system"}, {"class_path": "os.system"}),
        (Inner, {"side": 8}, Inner(side=8)),
        (Outer, {"must": 1, "inner": {"share": 1}}, Outer(1, Inner(share=1.0))),
    ],
)
def test_a_value_becomes_what_its_type_says(hint, value, built):
    found = build_value(hint, value, "here")
    assert found == built
    assert type(found) is type(built)


def test_a_class_is_built_and_a_factory_waits_for_its_caller():
    codec = build_class(CODEC, Codec, "codec")
    assert isinstance(codec, PatchCodec)
    assert codec.grid.channels == 8
    assert [type(part) for part in build_value(list[Codec], [CODEC, CODEC], "codecs")] == [PatchCodec, PatchCodec]
    make = build_value(Callable[[int], Sampler], {"class_path": "mvt4g.diffusion.samplers.HeunSampler"}, "sampler")
    assert isinstance(make, partial)
    assert isinstance(make(3), HeunSampler)
    by_name = build_value(Callable[[int], Sampler], "mvt4g.diffusion.samplers.EulerSampler", "sampler")
    assert isinstance(by_name(2), EulerSampler)
    assert build_value(Callable[[int], Sampler] | None, None, "sampler") is None


@pytest.mark.parametrize(
    ("hint", "value", "told"),
    [
        (int, 3.5, "here: got 3.5, want a value of type int"),
        (int, float("inf"), "here: got inf, want a value of type int"),
        (int, True, "here: got True, want a value of type int"),
        (str, 3, "here: got 3, want a value of type str"),
        (float, "much", "here: got 'much', want a number"),
        (bool, "true", "here: got 'true', want a value of type bool"),
        (Path, 3, "here: got 3, want a path"),
        (tuple[int, int], [1], "here: got 1 values, want 2"),
        (list[int], "12", "here: got '12', want a list"),
        (Literal["a", "b"], "c", "here: got 'c', want one of 'a', 'b'"),
        (Inner, [3], "here: got [3], want options by name"),
        (Inner, {"sid": 3}, "here: got option 'sid', want one of side, share"),
        (Inner, {"side": 0}, "here.side: got 0, want at least 1"),
        (Inner, {"share": "nan"}, "here.share: got nan, want in [0, 1]"),
        (Outer, {}, "here: got no must, want all that Outer must be given"),
        (Codec, "PatchCodec", "here: got 'PatchCodec', want a class: class_path and init_args"),
        (Codec, {"class_path": "PatchCodec"}, "here.class_path: got 'PatchCodec', want a class path such as"),
        (Codec, {"class_path": "subprocess.Popen"}, "here.class_path: got subprocess.Popen, want a class of mvt4g"),
        (Codec, {"class_path": "mvt4g.diffusion.samplers.EulerSampler"}, "want a Codec"),
        (Callable[[int], Sampler], "mvt4g.models.codec.PatchCodec", "want a Sampler"),
        (Callable[[int], Sampler], "mvt4g.models.codec.coefficient_order", "functions are not called by name"),
    ],
)
def test_what_does_not_fit_is_one_line(hint, value, told):
    with pytest.raises(InputError) as error:
        build_value(hint, value, "here")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_environment_adds_a_module_and_nothing_else_does(monkeypatch):
    spec = {"class_path": "argparse.Namespace"}
    with pytest.raises(InputError, match="needs the environment variable MVT4G_TRUST"):
        build_class(spec, object, "here")
    monkeypatch.setenv("MVT4G_TRUST", "argparse")
    assert vars(build_class(spec, object, "here")) == {}


def test_what_is_left_out_keeps_its_default():
    assert build_arguments(PatchCodec, {}, "here") == {}
    assert build_arguments(PatchCodec, {"keep": 3}, "here") == {"keep": 3}
