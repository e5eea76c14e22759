"""What a researcher adds enters by a class path in YAML and ``--trust``, and nothing of MVT4G is rewritten."""

import json
import math
from functools import partial

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.losses.objective import TapContext
from mvt4g.matching.rows import frame_attention
from mvt4g.types import Conditions, LatentGrid, TapRequest
from tests.extending.bundle_files import write_bundles
from tests.extending.its_package.agreement import Agreement
from tests.extending.its_package.backbone import OneSequence
from tests.extending.its_package.samplers import AdamsBashforth
from tests.models.small_backbones import small_cameras
from tests.truths import truth_of

PACKAGE = "tests.extending.its_package"
TRUST = ("--trust", PACKAGE)
CONFIG = ("-c", "configs/debug.yaml", "-c", "tests/extending/its.yaml")
PROBE = ("-c", "configs/experiment/probe.yaml", "--model.init_args.probe.noise_levels=[0.5]")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder of bundles for training, and one for the test."""
    root = tmp_path_factory.mktemp("bundles")
    write_bundles(root)
    return root


def sources(clips):
    reader = f"reader: {{class_path: {PACKAGE}.bundles.Bundles}}"
    entries = [f"{{path: {clips / split}, split: {split}, {reader}}}" for split in ("train", "test")]
    return f"--data.init_args.sampling.sources=[{', '.join(entries)}]"


def test_fit_test_and_probe_with_one_of_each(mvt4g, clips, tmp_path):
    args = (*CONFIG, sources(clips), *TRUST)
    length = ("--trainer.max_steps=2", "--trainer.limit_val_batches=0")
    assert mvt4g("fit", *args, *length, "--run", tmp_path / "fit") == 0
    events = EventAccumulator(str(tmp_path / "fit"))
    events.Reload()
    logged = {f"train/loss_{name}" for name in ("track", "corr", "agreement", "agreement/seen_in_both")}
    assert logged | {"train/empty_agreement", "train/loss_agreement/train"} <= set(events.Tags()["scalars"])
    checkpoint = ("--ckpt_path", tmp_path / "fit" / "checkpoints" / "step-00000002.ckpt", "--verbose=false")
    found = {}
    for name, sampler in (("test", ()), ("euler", ("--model.init_args.evaluation.sampler=EulerSampler",))):
        assert mvt4g("test", *args, *sampler, *checkpoint, "--run", tmp_path / name) == 0
        found[name] = json.loads((tmp_path / name / "test" / "metrics.json").read_text())
    assert found["test"]["test/brightness_error"] >= 0
    assert found["test"]["test/attention_pck/cross@0.50"] is not None
    assert found["test"]["test/loss"] == found["euler"]["test/loss"]
    assert found["test"]["test/psnr"] != found["euler"]["test/psnr"], "another sampler shows"
    assert mvt4g("test", *args, *PROBE, *checkpoint, "--run", tmp_path / "probe") == 0
    probed = json.loads((tmp_path / "probe" / "test" / "metrics.json").read_text())
    shares = [probed[f"test/probe/layer1/{kind}/attention_score"] for kind in ("ref", "tgt", "cross")]
    assert 0 < sum(shares) < 1


@pytest.mark.parametrize("part", ["backbone.OneSequence", "samplers.AdamsBashforth", "agreement.Agreement"])
def test_an_untrusted_package_is_refused(mvt4g, clips, tmp_path, capfd, part):
    """Negative control: what its file names is not even imported."""
    assert mvt4g("fit", *CONFIG, sources(clips), "--run", tmp_path) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "--trust" in line]
    assert PACKAGE in line


# Each by itself


@torch.no_grad()
def one_sequence():
    torch.manual_seed(0)
    backbone = OneSequence(LatentGrid(1, 4, 16))
    torch.nn.init.normal_(backbone.head.weight, std=0.1)
    latents = torch.randn(2, 2, 16, 3, 8, 8)
    return backbone, partial(backbone, *latents.unbind(1), torch.tensor([0.3, 0.8]), small_cameras(2, 3))


@torch.no_grad()
def test_words_take_their_share_of_attention():
    """The tap's keys of words make the shares of the frames sum to less than 1: to what a whole map says."""
    _, ask = one_sequence()
    conditions = Conditions(3 * torch.randn(2, 4, 8))
    tap = ask(conditions=conditions, taps=TapRequest([1])).taps[1]
    queries = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [1.0, 2.0, 20.0, 9.0]]]).expand(2, -1, -1)
    share = frame_attention(tap, queries).mass.sum(dim=(1, 2))
    assert (share < 0.999).all()
    assert (
        frame_attention(tap, queries, other_logsumexp=torch.full((2, 2, 2), -torch.inf)).mass.sum() - 4
    ).abs() < 1e-4
    assert (ask(conditions=conditions).velocity - ask().velocity).abs().max() > 1e-3, "texts show"


@torch.no_grad()
def test_taps_alone_and_encoded_cameras_change_nothing():
    backbone, ask = one_sequence()
    whole, alone = ask(taps=TapRequest([0])), ask(taps=TapRequest([0], stop_after=True))
    assert torch.equal(whole.taps[0].key, alone.taps[0].key)
    assert alone.velocity.shape[2] == 0
    encoded = backbone.encode_cameras(small_cameras(2, 3), 3, 8, 8)
    again = backbone(*ask.args[:3], encoded).velocity
    assert torch.equal(whole.velocity, again)


def test_the_sampler_is_of_third_order():
    """dx/dsigma = x arrives at 1 / e; its own start, by lower orders, costs one order: twice the steps, 4 times nearer.

    Euler's would be twice as near.
    """
    gains = []
    for kind in (AdamsBashforth, EulerSampler):
        errors = []
        for steps in (64, 128):
            sigmas, start = torch.linspace(1, 0, steps + 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
            arrived = kind(steps).run(lambda latents, sigma, step: latents, start, sigmas)
            errors.append(abs(arrived.item() - math.exp(-1)))
        gains.append(errors[0] / errors[1])
    assert gains[0] > 3.7
    assert gains[1] == pytest.approx(2, rel=0.05)


def test_features_that_are_alike_cost_nothing():
    _, ask = one_sequence()
    tap = ask(taps=TapRequest([0])).taps[0]
    queries = torch.tensor([[[0.0, 0.0, 4.0, 4.0]]]).expand(2, -1, -1)
    tracks, seen = torch.full((2, 2, 3, 1, 2), 4.0), torch.ones(2, 2, 3, 1, dtype=torch.bool)
    loss = Agreement(TapContext(layer=0))
    apart = loss({0: tap}, truth_of(queries, tracks, seen), None).total
    assert (apart > 1e-3).all()
    same = type(tap)(0, tap.query[:, :1].expand_as(tap.query), tap.key, tap.rotary, tap.frame_times, tap.stride)
    assert loss({0: same}, truth_of(queries, tracks, seen), None).total.abs().max() < 1e-6
    assert loss({0: tap}, truth_of(queries, tracks, ~seen), None).empty.all()
