"""Two probes are compared only if their scores mean the same."""

from dataclasses import replace

import lightning
import pytest
import torch

from mvt4g.callbacks.probe_report import ProbeReport
from mvt4g.commands.compare_probes import best_layer, compare_probes
from mvt4g.formats.probe_files import ProbeMaps, ProbeMatches
from mvt4g.metrics.functional.attention_correspondence import PANELS
from mvt4g.systems.probe import ProbeSpec
from mvt4g.types import InputError
from mvt4g.viz.probe_maps import SCORES
from tests.systems.test_probe import probed

KEYS = [f"{panel}/{score}" for panel in PANELS for score in (*SCORES, "accuracy_of_all")]
MAPS = ProbeMaps(
    layers=(0, 3), sigmas=(0.8, 0.4), maps={key: torch.rand(2, 2) for key in KEYS},
    heads={key: torch.rand(2, 5, 2) for key in KEYS}, same_place={"cross": 0.5},
    settings={"trajectory": "noised", "seed": "0"}, clips=("a", "b"),
)  # fmt: skip
MATCHES = ProbeMatches(
    layers=(0, 3), names=("a",), queries=torch.tensor([[0.0, 0.0, 5.0, 5.0]]), true_xy=torch.tensor([[6.0, 6.0]]),
    reference=torch.zeros(1, 3, 32, 48, dtype=torch.uint8), target=torch.zeros(1, 3, 32, 48, dtype=torch.uint8),
    heat=torch.rand(1, 2, 4, 6),
)  # fmt: skip


def written(run, maps=MAPS, matches=MATCHES):
    folder = run / "test" / "probe"
    folder.mkdir(parents=True)
    maps.write(folder)
    matches.write(folder)
    return str(run)


@pytest.mark.parametrize(
    ("maps", "matches", "told"),
    [
        ({"sigmas": (0.8, 0.5)}, {}, r"got sigmas \(0.8, 0.5\), want those of .*before, \(0.8, 0.4\)"),
        ({"settings": {**MAPS.settings, "seed": "1"}}, {}, "got seed 1, want those of .*before, 0"),
        ({"settings": {"seed": "0"}}, {}, "got trajectory not known, want those of .*before, noised"),
        ({"clips": ("a", "c")}, {}, "got other clips than .*before: b is in one of them alone"),
        ({"maps": {key: MAPS.maps[key] for key in KEYS if "confidence" not in key}}, {}, "got scores"),
        ({"heads": {key: torch.rand(2, 4, 2) for key in KEYS}}, {}, "got 4 heads, want those of .*before, 5"),
        ({}, {"heat": torch.rand(1, 2, 8, 12)}, r"got \(8, 12\) tokens .*, want those of .*before, \(4, 6\)"),
        ({}, {"names": ("b",)}, "got other query points"),
    ],
)
def test_probes_that_do_not_compare(tmp_path, maps, matches, told):
    before = written(tmp_path / "before")
    after = written(tmp_path / "after", replace(MAPS, **maps), replace(MATCHES, **matches))
    with pytest.raises(InputError, match=f"after: {told}"):
        compare_probes(before, after, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_is_written_is_read_back_and_compared(tmp_path):
    before, after = (written(tmp_path / name) for name in ("before", "after"))
    found = ProbeMaps.read(tmp_path / "after" / "test" / "probe")
    for name in ("layers", "sigmas", "same_place", "settings", "clips"):
        assert getattr(found, name) == getattr(MAPS, name)
    for name in ("maps", "heads"):
        assert getattr(found, name).keys() == getattr(MAPS, name).keys()
        assert all(torch.equal(value, getattr(MAPS, name)[key]) for key, value in getattr(found, name).items())
    assert compare_probes(before, after, str(tmp_path / "out")) == 0
    assert (tmp_path / "out" / "matches.png").exists()


def test_without_a_harmonic_mean_the_layer_must_be_said():
    unknown = torch.full((2, 2), torch.nan)
    with pytest.raises(InputError, match=r"^--layer: got none, .* want one of \(0, 3\)"):
        best_layer(replace(MAPS, maps={"cross/harmonic_mean": unknown}))
    unknown[1] = 0.0
    assert best_layer(replace(MAPS, maps={"cross/harmonic_mean": unknown})) == 3


def test_a_report_leaves_nothing_of_the_one_before(tmp_path):
    trainer = lightning.Trainer(accelerator="cpu", default_root_dir=tmp_path, logger=False)
    folder, drawn = tmp_path / "test" / "probe", {"matches.npz", "matches.png", "matches_by_layer.png"}
    for shown in (1, 0):
        probe = probed(ProbeSpec(layers=(1, 2), noise_levels=(0.5,), shown_clips=shown))
        ProbeReport().on_test_epoch_end(trainer, probe)
        there = {path.name for path in folder.iterdir()}
        assert drawn & there == (drawn if shown else set())
        assert {"maps.npz", "maps.csv", "curves.png"} <= there
    assert ProbeMaps.read(folder).clips == ("toy 0", "toy 1")
    assert ProbeMaps.read(folder).settings["threshold_px"] == "4"
