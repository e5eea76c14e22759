"""Blocks of the pages that are marked ``<!-- runs -->`` run as they stand, on tiny videos and a tiny model."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvt4g.cli import main
from mvt4g.data.kubric import SyntheticClips
from mvt4g.formats.video import write_video
from mvt4g.synthetic.spec import SceneSpec
from tests.docs.pages import GUIDES, ROOT, blocks, commands

FIRST = Path("docs/start.md")
ON_TOP_OF_IT = [Path("README.md"), Path("docs/tracking.md"), Path("docs/probe.md")]
"""Pages that go on with the run that the first page trains."""
KUBRIC = ["--data.init_args.loader={batch_size: 2, num_workers: 0}", "--data.init_args.cache_dir=null"]
SHORT = {
    "fit": ["--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.accelerator=cpu",
            "--data.init_args.num_train=2", *KUBRIC],
    "test": ["--data.init_args.num_test=2", "--trainer.accelerator=cpu", *KUBRIC],
    "write-clips": ["--train=1", "--val=1", "--test=1", "--workers=1", "--scene.image_size=[64,64]",
                    "--scene.num_frames=5"],
}  # fmt: skip
"""What is appended to a command, so that it takes seconds."""
PAGES = [page for page in GUIDES if any(block.runs for block in blocks(page, "bash", "python"))]


def shortened(words: list[str]) -> list[str]:
    """Return a command with what makes it short; scoring given videos is short already."""
    if "configs/evaluate.yaml" in words:
        return words
    probe = ["--model.init_args.probe.noise_levels=[0.5]"] if "configs/experiment/probe.yaml" in words else []
    return [*words, *SHORT.get(words[0], []), *probe]


def run_page(page: Path) -> None:
    """Run all marked blocks of a page in the current folder."""
    for block in blocks(page, "bash", "python"):
        if not block.runs:
            continue
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), {})
            continue
        for program, *words in commands(block):
            assert program == "mvt4g", f"{page}: want mvt4g alone in a block that runs, got {program}"
            assert main(shortened(words)) == 0, f"{page}: {' '.join(words)}"


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, called as ``mvt4g``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["mvt4g"])
        yield


def provide(folder: Path) -> None:
    """Fill a folder with what a user brings: videos, and configurations whose model is the smallest."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy(ROOT / "configs" / "debug.yaml", folder / "configs" / "experiment" / "demo.yaml")
    clip = SyntheticClips(SceneSpec(), "test", 1, seed=0).clip(0)
    for name, view in (("my", 0), ("a", 0), ("b", 1)):
        write_video(folder / f"{name}.mp4", clip.video[view], fps=8)
    scored = folder / "my_videos" / "dog_cam01"
    scored.mkdir(parents=True)
    for name, view in (("generated", 1), ("target", 1), ("reference", 0)):
        write_video(scored / f"{name}.mp4", clip.video[view], fps=8)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    provide(folder)
    with working_in(folder):
        run_page(FIRST)
        shutil.copytree("runs/mine", "runs/demo/fit")  # where the demo leaves its run
    return folder


@pytest.mark.slow
def test_first_page_runs(first_run):
    assert (first_run / "runs/mine/test/metrics.json").is_file()
    assert (first_run / "runs/mine/predict/my/arc_left-s0/overlay.mp4").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in (FIRST, *ON_TOP_OF_IT)], ids=str)
def test_page_runs(tmp_path, page):
    provide(tmp_path)
    with working_in(tmp_path):
        run_page(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", ON_TOP_OF_IT, ids=str)
def test_page_goes_on_with_the_first_run(first_run, page):
    with working_in(first_run):
        run_page(page)


def test_pages_that_run():
    assert {FIRST, *ON_TOP_OF_IT} < set(PAGES)
