"""The paper's table with measured rows beside it: numbers by hand, escaping, and rows that are hardly there."""

import csv
import io
import math
import re
from html.parser import HTMLParser

import pytest
import torch

from mvt4g.benchmark import published, table_forms, table_words
from mvt4g.benchmark.camera_bounds import camera_fault
from mvt4g.benchmark.comparison import compare
from mvt4g.benchmark.published import CAM_MC, COLUMNS, PUBLISHED, ROTATION, TRANSLATION
from mvt4g.benchmark.results import read_results
from mvt4g.benchmark.score_files import VideoRow
from mvt4g.benchmark.table import main, named_backbones
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.types import InputError
from tests.benchmark.made_up_scores import write_out

CASES = [(clip, camera) for clip in ("bear", "dog") for camera in ("cam01", "cam02")]
BASE = dict(zip(CASES, (0.4, 0.5, 0.6, 0.7), strict=True))
OURS = dict(zip(CASES[:3], (0.3, 0.3, 0.6), strict=True)) | {CASES[3]: "no pose was found"}


def compared(folder, scores, backbones=None, **more):
    return compare(read_results(write_out(folder, scores, **more)), backbones)


# The published table


def test_published_changes_are_those_that_the_page_prints():
    """The spans of its last two rows, copied apart from the numbers that they are made of."""
    printed = {
        "MVTrack4Gen (ReCamMaster)": ["−.012", "+.033", "−.001", "−.063", "−.082", "−1.802", "−.013", "−.044"],
        # Its MEt3R-dyn is printed as −.036, which the page's own 0.349 and 0.395 do not give.
        "MVTrack4Gen (ReDirector)": ["+.008", "+.007", "+.001", "−.051", "−.046", "+.004", "−.013", "−.012"],
    }
    losses = {("MVTrack4Gen (ReCamMaster)", 0), ("MVTrack4Gen (ReCamMaster)", 2), ("MVTrack4Gen (ReDirector)", 5)}
    rows = {row.method: row for section in compare_nothing().sections for row in section.rows}
    for method, changes in printed.items():
        gains = [rows[method].cells[column.metric].gain for column in COLUMNS]
        assert [table_words.change(gain) for gain in gains] == changes
        assert {(method, place) for place, gain in enumerate(gains) if gain.is_better is False} <= losses
    assert sum(row.backbone is not None for row in PUBLISHED) == 2


def test_published_best_numbers_are_those_that_the_page_prints_bold():
    best = {}
    for section in compare_nothing().sections:
        for row in section.rows:
            for column in COLUMNS:
                cell = row.cells.get(column.metric)
                if cell is not None and cell.is_best:
                    best[column.title] = row.method
    redirector = "MVTrack4Gen (ReDirector)"
    assert best == dict.fromkeys([column.title for column in COLUMNS], redirector) | {
        "MEt3R-dyn": "MVTrack4Gen (ReCamMaster)", "mRotErr": "ReDirector"
    }  # fmt: skip


def compare_nothing():
    from mvt4g.benchmark.results import Results

    return compare(Results({}, {}, {}, {}, "mvtrack4gen", {}))


# Means, intervals, gains


def test_a_measured_row_by_hand(tmp_path):
    found = compared(tmp_path, {"base": {"met3r": BASE}, "ours": {"met3r": OURS}}, {"ours": "base"})
    base, ours = (row.cells["met3r"] for row in found.measured)
    assert (base.value, base.num_videos, base.num_missing, base.gain) == (pytest.approx(0.55), 4, 0, None)
    assert (ours.value, ours.num_videos, ours.num_missing) == (pytest.approx(0.4), 3, 1)
    # Of the three videos that both have: -0.1, -0.2, 0. The means differ by -0.15, which the fourth video brings.
    assert ours.gain.change == pytest.approx(-0.1)
    assert ours.gain.num_videos == 3
    assert ours.gain.is_better is True
    low, high = bootstrap_interval(torch.tensor([0.3, 0.3, 0.6], dtype=torch.float64))
    assert (ours.low, ours.high) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert not ours.gain.is_certain  # three videos with one draw of none
    assert base.is_best is False  # nothing with as many videos to be better than
    assert [
        (entry.method, entry.metric, entry.num_videos, entry.reason) for entry in found.notes if entry.num_videos
    ] == [("ours", "met3r", 1, "no pose was found")]


@pytest.mark.parametrize(("metric", "better"), [("met3r", False), ("imaging_quality", True)])
def test_direction_decides_the_colour(tmp_path, metric, better):
    up = {case: value + 0.1 for case, value in BASE.items()}
    found = compared(tmp_path, {"base": {metric: BASE}, "up": {metric: up}}, {"up": "base"})
    gain = found.measured[1].cells[metric].gain
    assert (gain.is_better, gain.is_certain) == (better, True)
    assert found.measured[int(better)].cells[metric].is_best


def test_equal_rows_have_no_colour(tmp_path):
    found = compared(tmp_path, {"base": {"met3r": BASE}, "same": {"met3r": BASE}}, {"same": "base"})
    assert found.measured[1].cells["met3r"].gain.is_better is None
    assert 'class="same"' in table_forms.to_html(found)


def test_seeds_of_a_video_are_one_video(tmp_path):
    found = compared(tmp_path, {"base": {"met3r": BASE}}, seeds=("0", "1"))
    cell = found.measured[0].cells["met3r"]
    assert (cell.value, cell.num_videos) == (pytest.approx(0.55 + 0.5), 4)


def test_the_page_s_names_know_their_backbones(tmp_path):
    found = compared(tmp_path, {"recammaster": {"met3r": BASE}, "ours_recammaster": {"met3r": OURS}})
    assert found.measured[1].backbone == "recammaster"


def test_scores_that_the_paper_does_not_print_stand_apart_if_they_have_a_direction(tmp_path):
    scores = {"a": {"psnr": BASE, "camera/mvtrack4gen/registered_fraction": BASE, "met3r": BASE}}
    found = compared(tmp_path, scores)
    assert [column.metric for column in found.further] == ["psnr"]


# The inequality of the camera errors


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.method)
def test_published_camera_errors_agree(row):
    errors = [row.values[metric] for metric in (ROTATION, TRANSLATION, CAM_MC)]
    assert camera_fault(*errors, rounding=0.0005) == ""


def test_true_means_of_small_errors_agree_and_swapped_units_do_not():
    generator = torch.Generator().manual_seed(0)
    angle = torch.rand(1000, generator=generator, dtype=torch.float64) * 12
    shift = torch.rand(1000, generator=generator, dtype=torch.float64) * 0.3
    chord = 2 * math.sqrt(2) * torch.sin(torch.deg2rad(angle) / 2)
    means = (float(angle.mean()), float(shift.mean()), float(torch.hypot(chord, shift).mean()))
    assert camera_fault(*means) == ""
    assert "over" in camera_fault(math.radians(means[0]), *means[1:])  # radians in the place of degrees
    assert "under" in camera_fault(means[0], means[1] * 100, means[2])  # centimetres in the place of shares


def test_a_few_large_rotations_are_told_from_what_cannot_be():
    half_turned = (90.0, 0.0, math.sqrt(2))  # half of the frames at 180 degrees, CamMC 2 sqrt(2), the others at 0
    assert camera_fault(*half_turned).endswith("only a few large rotations can give")
    assert camera_fault(90.0, 0.0, 1.0).endswith("no errors can give")


def test_bounds_themselves_are_allowed():
    assert camera_fault(0.0, 0.0, 0.0) == ""
    assert camera_fault(180.0, 0.0, 2 * math.sqrt(2)) == ""
    assert camera_fault(0.0, 0.25, 0.25) == ""


def test_a_measured_row_that_contradicts_itself_is_marked_everywhere(tmp_path):
    errors = {
        ROTATION: dict.fromkeys(CASES, 1.0),
        TRANSLATION: dict.fromkeys(CASES, 0.1),
        CAM_MC: dict.fromkeys(CASES, 0.9),
    }
    good = errors | {CAM_MC: dict.fromkeys(CASES, 0.12)}
    found = compared(tmp_path, {"good": good, "bad": errors})
    assert [method for method, _ in found.faults] == ["bad"]
    assert "bad† |" in table_forms.to_markdown(found)
    assert r"bad$\dagger$ &" in table_forms.to_latex(found)
    assert "bad<sup" in table_forms.to_html(found)
    assert "over 0.125" in table_forms.to_csv(found)


def test_cameras_without_translation_do_not_count_as_a_contradiction(tmp_path):
    """Their mTransErr is not known: over all videos mCamMC would be under what mTransErr of the others allows."""
    cases = [("dog", f"cam{number:02d}") for number in range(1, 11)]
    moves = {case: (0.5 if number >= 4 else "the true path does not move") for number, case in enumerate(cases)}
    mixed = {case: (0.5 if number >= 4 else 0.0) for number, case in enumerate(cases)}
    scores = {ROTATION: dict.fromkeys(cases, 0.0), TRANSLATION: moves, CAM_MC: mixed}
    found = compared(tmp_path, {"one": scores})
    assert found.faults == ()
    assert found.measured[0].cells[TRANSLATION].num_videos == 6


# Rows that are hardly there


def test_empty_lone_and_foreign_methods_are_rows_all_the_same(tmp_path):
    lost = (
        VideoRow("lone", "dog", "cam02", "", None, "missing", "no file"),
        VideoRow("foreign", "", "", "", None, "unnamed", "no clip and camera in its name", file="foreign/video1.mp4"),
    )
    scores = {"full": {"met3r": BASE}, "empty": {}, "lone": {"met3r": {CASES[0]: 0.2}}, "foreign": {}}
    found = compared(tmp_path, scores, {"lone": "full"}, lost=lost)
    by_name = {row.method: row for row in found.measured}
    assert list(by_name) == ["full", "empty", "lone", "foreign"]
    assert by_name["empty"].cells["met3r"] is None
    lone = by_name["lone"].cells["met3r"]
    assert (lone.num_videos, lone.num_missing, lone.is_best) == (1, 1, False)
    assert math.isnan(lone.low)
    told = dict(table_words.notes_by_method(found))
    assert "no video was found" in told["empty"]
    assert "1 video, missing: no file" in told["lone"]
    assert "1 video, unnamed: no clip and camera in its name" in told["foreign"]
    for form in (table_forms.to_markdown, table_forms.to_html, table_forms.to_latex):
        assert form(found).count("n 1 of 2") == 1


def test_poses_that_half_of_the_videos_lack_are_counted_and_told(tmp_path):
    half = {case: (2.0 if case[1] == "cam01" else "no estimate of it in the file") for case in CASES}
    found = compared(tmp_path, {"one": {ROTATION: half, "met3r": BASE}})
    assert found.measured[0].cells[ROTATION].num_videos == 2
    assert found.measured[0].cells["met3r"].num_videos == 4
    assert "mRotErr: 2 videos, no estimate of it in the file" in dict(table_words.notes_by_method(found))["one"]
    assert "[2.000, 2.000] n 2 of 4" in table_forms.to_html(found)


def test_what_a_metric_needs_is_said(tmp_path):
    found = compared(tmp_path, {"one": {"met3r": BASE}}, notes={("one", "imaging_quality"): "needs musiq_spaq"})
    assert "Imaging: needs musiq_spaq" in dict(table_words.notes_by_method(found))["one"]
    unscored = "Subj. Cons., Motion Smooth., MEt3R-dyn, mRotErr, mTransErr, mCamMC: not in the preset mvtrack4gen"
    assert unscored in dict(table_words.notes_by_method(found))["one"]


def test_of_many_reasons_the_most_frequent_are_said(tmp_path):
    cases = [("dog", f"cam{number:02d}") for number in range(1, 8)]
    odd = {case: f"correlates by 0.{number}" for number, case in enumerate(cases)} | {cases[0]: "correlates by 0.1"}
    found = compared(tmp_path, {"one": {ROTATION: odd, TRANSLATION: odd, "met3r": BASE}})
    told = [line for line in dict(table_words.notes_by_method(found))["one"] if "mRotErr" in line]
    assert told == [
        "mRotErr, mTransErr: 2 videos, correlates by 0.1",
        "mRotErr, mTransErr: 1 video, correlates by 0.2",
        "mRotErr, mTransErr: 4 videos, 4 other reasons, see videos.csv",
    ]


# Forms

ODD = 'a_b & <c> | d$ 100% #{x} ~^\\ *e* `f` "g", h'


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_data(self, data):
        self.found.append(data)


@pytest.fixture
def odd(tmp_path):
    return compared(tmp_path, {"base": {"met3r": BASE}, ODD: {"met3r": OURS}}, {ODD: "base"})


def test_html_shows_an_odd_name_as_it_is(odd):
    texts = Texts()
    texts.feed(table_forms.to_html(odd))
    assert texts.found.count(ODD) == 2  # row and facts
    assert '<span class="better">▲−.100</span>' in table_forms.to_html(odd)
    assert not re.search(r"(src|href)=|@import|url\(", table_forms.to_html(odd))


def test_csv_gives_an_odd_name_back(odd):
    rows = list(csv.DictReader(io.StringIO(table_forms.to_csv(odd), newline="")))
    (row,) = [row for row in rows if row["method"] == ODD and row["metric"] == "met3r"]
    assert (row["source"], row["backbone"], row["videos"], row["missing"]) == ("measured", "base", "3", "1")
    assert (row["gain"], float(row["change"]), row["change_videos"]) == ("better", pytest.approx(-0.1), "3")
    assert row["note"] == "1 video, no pose was found"
    (paper,) = [row for row in rows if row["method"] == "MVTrack4Gen (ReDirector)" and row["metric"] == "met3r"]
    assert (paper["value"], paper["videos"], paper["source"]) == ("0.267", "", "published")
    assert len(rows) == (len(PUBLISHED) + 2) * len(COLUMNS)


def test_markdown_rows_have_one_number_of_cells(odd):
    lines = [line for line in table_forms.to_markdown(odd).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(COLUMNS) + 2}
    (row,) = [line for line in lines if "100%" in line]
    shown = re.sub(r"\\(.)", r"\1", row.split(" | ")[0].removeprefix("| "))
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == ODD


def test_latex_has_no_bare_special_characters(odd):
    text = table_forms.to_latex(odd)
    body = [line for line in text.splitlines() if not line.startswith("%")]
    rows = [line for line in body if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(COLUMNS)}
    kept = "\n".join(body)
    for character in "#_%~^<>|":
        # "#1" of a definition and "[HTML]" are LaTeX's own.
        own = kept.replace("#1", "") if character == "#" else kept
        assert not re.search(rf"(?<!\\){re.escape(character)}", own), character
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", kept):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert len(re.findall(r"(?<!\\)\$", kept)) % 2 == 0
    assert r"\better{$-$.100}" in text


@pytest.mark.parametrize("escape", [table_forms.escape_latex, table_forms.escape_markdown])
def test_plain_text_is_left_alone(escape):
    assert escape("ReCamMaster 3.5, cam01: yes") == "ReCamMaster 3.5, cam01: yes"


# The command


def test_four_files_appear(tmp_path, capfd):
    write_out(tmp_path, {"base": {"met3r": BASE}, "ours": {"met3r": OURS}})
    assert main([str(tmp_path), "--backbone", "ours=base"]) == 0
    assert sorted(path.name for path in tmp_path.glob("table.*")) == [
        "table.csv",
        "table.html",
        "table.md",
        "table.tex",
    ]
    assert "2 methods" in capfd.readouterr().out
    assert "▲−.100" in (tmp_path / "table.md").read_text()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        ("ours", "want METHOD=BACKBONE"),
        ("ours=nobody", "want one of base, ours"),
        ("ours=ours", "want another method"),
    ],
)
def test_a_bad_backbone_is_one_line_and_leaves_nothing(tmp_path, capfd, backbone, told):
    write_out(tmp_path, {"base": {"met3r": BASE}, "ours": {"met3r": OURS}})
    assert main([str(tmp_path), "--backbone", backbone]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert told in line
    assert not list(tmp_path.glob("table.*"))


def test_one_method_has_one_backbone():
    assert named_backbones(["a=b", "c=b", "a=b"]) == {"a": "b", "c": "b"}
    with pytest.raises(InputError, match="want one"):
        named_backbones(["a=b", "a=c"])


def test_a_folder_without_scores_is_one_line(tmp_path, capfd):
    assert main([str(tmp_path)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert str(tmp_path) in line


def test_the_table_is_the_paper_s():
    assert [column.title for column in COLUMNS][:2] == ["Subj. Cons.", "Imaging"]
    assert published.SOURCE.startswith("arXiv 2606.26087")
    assert len({row.method for row in PUBLISHED}) == len(PUBLISHED) == 8


# Is the truth first?


def test_a_metric_that_puts_another_method_before_the_truth_is_told_everywhere(tmp_path):
    worse = {case: value + 0.2 for case, value in BASE.items()}
    scores = {
        "truth": {"met3r": BASE, "psnr": BASE, "ssim": BASE},
        "copy": {"met3r": worse, "psnr": worse, "ssim": BASE},  # of met3r lower is better, of psnr higher
    }
    found = compare(read_results(write_out(tmp_path, scores)), truth="truth")
    assert [column.metric for column in found.order.kept] == ["met3r", "ssim"]
    ((column, method, gain),) = found.order.broken
    assert (column.metric, method, gain.change) == ("psnr", "copy", pytest.approx(0.2))
    told = "No: psnr puts copy before truth, by +.200*"
    for text in (table_forms.to_html(found), table_forms.to_latex(found)):
        assert told in text
    assert "Yes: MEt3R, ssim" in table_forms.to_markdown(found)


def test_the_truth_must_be_there(tmp_path):
    with pytest.raises(InputError, match=r"^--truth: got 'nobody', want one of a"):
        compare(read_results(write_out(tmp_path, {"a": {"met3r": BASE}})), truth="nobody")
