"""docs/extending.md is a package and a configuration, and its commands run; CONTRIBUTING.md's counts are counted."""

import importlib
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from mvt4g.cli import main
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.losses.objective import TapContext
from mvt4g.types import LatentGrid, MultiViewClip, TapRequest
from tests.docs.pages import ROOT, blocks
from tests.extending.bundle_files import write_bundles
from tests.models.small_backbones import small_cameras
from tests.systems.wall import wall_clip
from tests.truths import truth_of

PAGE = Path("docs/extending.md")
HERE = Path(__file__).parent
MODULES = ("agreement", "adams", "two_views", "brightness", "bundles")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the page's package, its configuration and a few clips, where a user would work."""
    for block in blocks(PAGE, "python", "yaml"):
        named = re.match(r"# (\S+)\n", block.text)
        assert named, f"{PAGE}: want the name of its file at the head of every block"
        path = tmp_path / named[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    write_bundles(tmp_path / "bundles")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["mvt4g"])
    return tmp_path


def test_each_class_of_the_page_works_by_itself(folder):
    its = {name: importlib.import_module(f"its_own.{name}") for name in MODULES}
    truth, noise = torch.randn(2, 1, 16, 3, 8, 8).unbind()
    adams = its["adams"].Adams(3)
    arrived = adams.run(lambda latents, sigma, step: noise - truth, noise, adams.sigmas(FlowMatching()))
    torch.testing.assert_close(arrived, truth)
    backbone = its["two_views"].TwoViews(LatentGrid(1, 4, 16))
    output = backbone(noise, truth, torch.tensor([0.5]), small_cameras(1, 3), taps=TapRequest([1]))
    assert output.velocity.shape == noise.shape
    clip = MultiViewClip.stack([wall_clip(0)])
    query = torch.tensor([[[0.0, 1.0, *clip.tracks[0, 0, 1, 0].tolist()]]])
    told = truth_of(query, clip.tracks[:, :, :, :1], torch.ones(1, 2, 3, 1, dtype=torch.bool))
    assert its["agreement"].Agreement(TapContext(1))(output.taps, told, clip.cameras).total.item() > 0
    metric = its["brightness"].BrightnessError()
    metric.update(
        torch.full((2, 3, 3, 8, 8), 0.75), torch.tensor([0.25, 0.5]).view(2, 1, 1, 1, 1).expand(2, 3, 3, 8, 8)
    )
    assert metric.compute() == 0.375
    reader = its["bundles"].Bundles()
    first = reader.list_clips(folder / "bundles" / "train")[0]
    assert tuple(reader.count(first)) == (2, 3)
    assert torch.equal(reader.read(first).video, wall_clip(0).video)


@pytest.mark.slow
def test_the_page_runs_as_it_stands(folder):
    (console,) = blocks(PAGE, "console")
    for line in console.text.splitlines():
        prompt, program, *words = shlex.split(line)
        assert (prompt, program) == ("$", "mvt4g")
        short = ["--trainer.max_steps=2", "--trainer.limit_val_batches=0"] if words[0] == "fit" else []
        assert main([*words, *short]) == 0
    scores = json.loads(Path("runs/own/test/metrics.json").read_text())
    assert scores["test/brightness_error"] >= 0
    assert scores["test/psnr"] is not None
    config = Path("runs/own/config.yaml").read_text()
    for module in MODULES:
        assert f"its_own.{module}." in config


def rows_of_contributing() -> dict[str, list[str]]:
    """Cells of the table in CONTRIBUTING.md, by what is added."""
    lines = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| a ")]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def test_contributing_counts_what_is_there():
    """Lines of each example, and of YAML that name it."""
    rows = rows_of_contributing()
    assert len(rows) == 5
    yaml = (HERE / "its.yaml").read_text().splitlines()
    for outside, _, example in rows.values():
        file, lines = re.fullmatch(r"`(\w+\.py)`, (\d+)", example).groups()
        assert int(lines) == len((HERE / "its_package" / file).read_text().splitlines())
        module = f"its_package.{file.removesuffix('.py')}."
        named = [line for line in yaml if module in line]
        count = 1 if file == "bundles.py" else len(named)  # its folder comes on the command line
        if file == "backbone.py":
            count += 2  # init_args, and the grid that every backbone is told
        assert outside == f"{count} line{'s' if count > 1 else ''} of YAML"
