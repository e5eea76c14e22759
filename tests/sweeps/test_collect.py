"""The table of a sweep, computed by hand, whatever the order its runs ended in."""

import base64
import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from mvt4g.sweeps.collect import Results, main, tables, used_options
from mvt4g.sweeps.report import main as write_report
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.types import InputError
from mvt4g.viz.scene_page import write_scene_page
from tests.formats.test_scene4d import small_scene

ROOT = Path(__file__).parents[2]
SCORES = {
    "plain-0": (10.0, 0.5, 1.0), "plain-1": (12.0, 0.5, 2.0), "plain-2": (14.0, None, 3.0),
    "extra-0": (11.0, 0.25, 4.0), "extra-1": (14.0, 0.25, 5.0), "extra-2": (13.0, 0.25, 6.0),
}  # fmt: skip
"""PSNR, error and the better of two layers, by run."""


def write_run(folder: Path, name: str) -> None:
    psnr, error, layer = SCORES[name]
    test = folder / "runs" / name / "test"
    (test / "media").mkdir(parents=True)
    metrics = {"test/psnr": psnr, "test/error": error, "test/layer0/pck": 0.5, "test/layer1/pck": layer}
    (test / "metrics.json").write_text(json.dumps(metrics))
    (test.parent / "fit.done").touch()
    (test.parent / "times.json").write_text(json.dumps({"fit": {"cpu_s": 30.0}, "test": {"cpu_s": 20.0}}))
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 255)]
    frames[0].save(test / "media" / "videos-00000004.gif", save_all=True, append_images=frames[1:])
    with SummaryWriter(str(test.parent)) as writer:
        for step in (0, 1, 2):
            writer.add_scalar("train/loss_diff", psnr - step, step)


def sweep_of(folder: Path, names: list[str]) -> SweepFile:
    for name in names:
        write_run(folder, name)
    path = folder / "sweep.yaml"
    path.write_text(f"""
folder: {folder}/runs
configs: [configs/debug.yaml]
seeds: [0, 1, 2]
variants:
  plain: {{model.init_args.training.warmup_steps: 0}}
  extra: {{}}
table:
  title: Made <up>
  control: plain
  scores:
    PSNR: [test/psnr, higher]
    error: [test/error, lower]
    best layer: ["test/layer?/pck", higher]
    last loss: [train/loss_diff, neither]
  curves: [train/loss_diff]
  pictures: {{generated: "test/media/videos-*.gif"}}
""")
    return SweepFile(path)


SWEEPS = [path for path in sorted((ROOT / "experiments").glob("*/*.yaml")) if "\nfolder:" in f"\n{path.read_text()}"]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_sweep_file_of_ours_can_be_read(path):
    sweep = SweepFile(path)
    assert sweep.runs()
    if sweep.table:
        assert Results(sweep).scores


def test_the_table_by_hand(tmp_path):
    text = tables(Results(sweep_of(tmp_path, [*SCORES])))
    _, means, differences = text.split("| | PSNR | error | best layer | last loss |\n|---|---:|---:|---:|---:|\n")
    plain, extra = means.splitlines()[:2]
    assert plain == "| plain | 12.00 ± 2.00 | 0.500 ± 0.000 (n = 2) | 2.000 ± 1.000 | 10.00 ± 2.00 |"
    assert extra == "| extra | **12.67 ± 1.53** | **0.250 ± 0.000** | **5.00 ± 1.00** | 10.67 ± 1.53 |"
    line, *_ = differences.splitlines()
    assert line == (
        "| extra | +0.67 ± 1.53 (+6 %, 2/3) | −0.250 ± 0.000 (−50 %, 2/2) | +3.000 ± 0.000 (+150 %, 3/3) "
        "| +0.67 ± 1.53 (+7 %) |"
    )


def test_an_arm_of_one_seed_is_no_best_and_shares_are_of_the_seeds_that_pair(tmp_path):
    sweep = sweep_of(tmp_path, ["plain-0", "plain-1", "plain-2", "extra-2"])
    text = tables(Results(sweep))
    assert "| plain | **12.00 ± 2.00** | **0.500 ± 0.000 (n = 2)** | **2.000 ± 1.000** |" in text
    assert "| extra | 13.00 (n = 1) | 0.250 (n = 1) |" in text
    assert "| extra | −1.00 (−7 %, 0/1) | n/a |" in text, "of the 14 of the same seed, not of the 12 of all"
    (tmp_path / "runs" / "extra-2" / "fit.done").unlink()
    assert "Not finished: extra-0, extra-1, extra-2." in tables(Results(sweep)), "its test alone is not all of it"


def test_a_score_that_is_not_finite_is_none(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    with SummaryWriter(str(tmp_path / "runs" / "plain-1")) as writer:
        writer.add_scalar("train/loss_diff", float("inf"), 3)
    assert "| 10.00 ± 2.83 (n = 2) |" in tables(Results(sweep)), "what was finite before the end is not its last value"
    assert write_report([str(sweep.path), "--out", str(tmp_path / "report.html")]) == 0


def test_a_key_that_no_run_has_is_told_with_the_nearest(tmp_path):
    sweep = sweep_of(tmp_path, [])
    sweep.path.write_text(sweep.path.read_text().replace("test/psnr", "test/psnrr"))
    write_run(tmp_path, "plain-0")
    assert Results(SweepFile(sweep.path)).unfinished, "the other arm may have it"
    write_run(tmp_path, "extra-1")
    with pytest.raises(InputError, match=r"sweep.yaml:12: PSNR: got test/psnrr, which no run has, want .* test/psnr$"):
        Results(SweepFile(sweep.path))


def test_the_table_does_not_depend_on_the_order_of_runs(tmp_path, capsys):
    found = {}
    for order in (1, -1):
        folder = tmp_path / str(order)
        folder.mkdir()
        sweep = sweep_of(folder, [*SCORES][::order])
        assert main([str(sweep.path)]) == 0
        found[order] = [(folder / "runs" / f"{sweep.name}{kind}").read_bytes() for kind in (".md", ".csv", ".png")]
    assert found[1] == found[-1]


def test_unfinished_runs_are_named(tmp_path, capsys):
    sweep = sweep_of(tmp_path, ["plain-0", "extra-0", "extra-1"])
    assert main([str(sweep.path)]) == 0
    text = capsys.readouterr().out
    assert "Not finished: plain-1, plain-2, extra-2." in text
    assert "| plain | 10.00 (n = 1) | 0.500 (n = 1) | 1.000 (n = 1) | 8.00 (n = 1) |" in text
    assert "| extra | +1.00 (+10 %, 1/1) |" in text, "over the seed that both have"
    assert "2.5 CPU-minutes" in text


def test_rows_of_runs(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    assert main([str(sweep.path)]) == 0
    with (tmp_path / "runs" / f"{sweep.name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    third = dict(zip(("PSNR", "error", "best layer", "last loss"), ("14.0", "", "3.0", "12.0"), strict=True))
    option = {"model.init_args.training.warmup_steps": "0"}
    assert rows[2] == {"arm": "plain", "seed": "2", **option, **third}


def test_hparams_of_every_run(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    for _ in range(2):
        assert main([str(sweep.path)]) == 0
    (path,) = (tmp_path / "runs" / "plain-1").glob("events.out.tfevents.*.hparams")
    events = EventAccumulator(str(path))
    events.Reload()
    assert {tag: events.Scalars(tag)[0].value for tag in ("PSNR", "best layer")} == {"PSNR": 12.0, "best layer": 2.0}
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for text in (b"arm", b"plain", b"seed", b"warmup_steps"):
        assert text in content


def test_an_arm_that_keeps_a_default_shows_it_and_one_without_the_option_says_so(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    for name, training in (("extra-0", "{warmup_steps: 0.125}"), ("extra-1", "null")):
        (tmp_path / "runs" / name / "config.yaml").write_text(f"model: {{init_args: {{training: {training}}}}}\n")
    option = "model.init_args.training.warmup_steps"
    shown = {run.name: used_options(run, [option])[option] for run in sweep.runs()}
    assert shown["plain-0"] == 0
    assert shown["extra-0"] == 0.125
    assert shown["extra-1"] == shown["extra-2"] == "not set", "no such option there, and no configuration"
    assert main([str(sweep.path)]) == 0
    with (tmp_path / "runs" / f"{sweep.name}.csv").open(newline="") as file:
        assert all(row[option] for row in csv.DictReader(file))


def test_a_program_that_tests_is_read_as_a_test_of_its_name(tmp_path):
    write_run(tmp_path, "plain-0")
    run = tmp_path / "runs" / "plain-0"
    for name in ("again", "plot"):
        (run / name).mkdir()
        (run / name / f"{name}.done").touch()
    (run / "test").rename(run / "again" / "test")
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
variants: {{plain: {{}}}}
commands: [fit, {{name: again, run: [tester]}}, {{name: plot, run: [plotter]}}]
table: {{scores: {{PSNR: [again/test/psnr, higher]}}}}
""")
    results = Results(SweepFile(path))
    assert results.values(results.scores[0]) == {"plain": [10.0]}


def test_a_score_that_is_missing_says_why_under_the_table(tmp_path):
    text = tables(Results(sweep_of(tmp_path, [*SCORES])))
    assert "n/a of error: test/error is null (a score over nothing) or missing in the metrics.json of plain-2." in text


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("control: plain", "control: plane", 10),
        ("[test/psnr, higher]", "[test/psnr, up]", 12),
        ("  curves", "  curvs", 16),
        ("title: Made <up>", "title: 2024", 9),
        ("curves: [train/loss_diff]", "curves: train/loss_diff", 16),
        ('pictures: {generated: "test/media/videos-*.gif"}', "pictures: [a]", 17),
        ('"test/media/videos-*.gif"', '"/etc/*.png"', 17),
        ('"test/media/videos-*.gif"', '"../../*.png"', 17),
        ('"test/media/videos-*.gif"', '""', 17),
        ('"test/media/videos-*.gif"', '"a**b"', 17),
        ("pictures: {generated: ", "scenes: {generated: /", 17),
    ],
)
def test_a_bad_table_entry_names_its_line(tmp_path, old, new, line):
    path = sweep_of(tmp_path, []).path
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"sweep.yaml:{line}: "):
        Results(SweepFile(path))


@pytest.mark.parametrize("write", [main, write_report], ids=["collect", "report"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test/metrics.json", b"\xff\xfe"),
        ("test/metrics.json", b"[1]"),
        ("test/metrics.json", b'{"test/psnr": "high"}'),
        ("times.json", b'{"fit": 3}'),
        ("config.yaml", b"{a: ["),
        ("events.out.tfevents.1", None),
    ],
)
def test_what_a_run_left_that_cannot_be_read_is_one_line(tmp_path, capsys, write, name, content):
    sweep = sweep_of(tmp_path, [*SCORES])
    path = tmp_path / "runs" / "extra-1" / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    if write is write_report and name == "config.yaml":
        assert write([str(sweep.path)]) == 0, "a page shows no options"
        return
    assert write([str(sweep.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mvt4g: ")
    assert "extra-1" in line


@pytest.mark.parametrize("out", ["", "sweep.yaml/page.html"])
def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys, out):
    sweep = sweep_of(tmp_path, [*SCORES])
    assert write_report([str(sweep.path), "--out", str(tmp_path / out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line


def test_a_label_says_what_it_says(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    sweep.path.write_text(sweep.path.read_text().replace("PSNR:", '"$x_{$ <b>":'))
    assert main([str(sweep.path)]) == 0
    assert "$x_{$ <b>" in capsys.readouterr().out


class Links(HTMLParser):
    """Gathers whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "poster")]


def test_the_report_holds_all_it_shows(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    out = tmp_path / "report.html"
    assert write_report([str(sweep.path), "--out", str(out)]) == 0
    text = out.read_text()
    page = Links()
    page.feed(text)
    assert [source[: source.index(",")] for source in page.sources] == [
        "data:image/svg+xml;base64", "data:image/svg+xml;base64", "data:image/gif;base64", "data:image/gif;base64",
    ], "dots, curves, a video of either arm, and nothing from elsewhere"  # fmt: skip
    video = (tmp_path / "runs" / "plain-0" / "test" / "media" / "videos-00000004.gif").read_bytes()
    assert base64.b64decode(page.sources[2].partition(",")[2]) == video
    assert "<h1>Made &lt;up&gt;</h1>" in text
    assert "<td><b>12.67 ± 1.53</b></td>" in text
    assert not re.search(r"url\(|@import|<script|<link", text)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_report_links_the_scenes_of_its_arms(tmp_path, capsys):
    sweep = sweep_of(tmp_path, [*SCORES])
    entry = '  scenes: {dog <4D>: "predict/*/scene.html", none: "no/*.html"}'
    sweep.path.write_text(sweep.path.read_text() + entry)
    for name in ("plain-1", "plain-2", "extra-0"):
        folder = tmp_path / "runs" / name / "predict" / "a b"
        folder.mkdir(parents=True)
        write_scene_page(small_scene(frames=1), folder / "scene.html", name)
    assert write_report([str(sweep.path), "--out", str(tmp_path / "report.html")]) == 0
    text = (tmp_path / "report.html").read_text()
    assert "<h2>dog &lt;4D&gt;</h2>" in text
    assert '<a href="report-scenes-1.html">all, moving together</a>' in text
    assert '<a href="runs/plain-1/predict/a%20b/scene.html">plain-1</a>' in text
    assert "plain-2/predict" not in text, "the first seed that has one"
    assert "No run has no/*.html yet." in text
    together = (tmp_path / "report-scenes-1.html").read_text()
    assert "runs/extra-0/predict/a%20b/scene.html" in together


def test_the_report_in_a_browser(tmp_path, capsys):
    out, shot = tmp_path / "report.html", tmp_path / "shot.png"
    assert write_report([str(sweep_of(tmp_path, [*SCORES]).path), "--out", str(out)]) == 0
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,1600", f"--screenshot={shot}",
    )  # fmt: skip
    subprocess.run(["chromium", *flags, out.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(shot) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    assert {(0, 114, 178), (213, 94, 0)} <= colours, "the dots of both arms"
    assert any(red > 200 and green == blue == 0 for red, green, blue in colours) or (0, 0, 0) in colours, "a video"
