"""The page of a benchmark: what it holds, names that would break it, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mvt4g.benchmark import previews
from mvt4g.benchmark.attention_looks import probe_looks
from mvt4g.benchmark.camera_plan import draw_paths
from mvt4g.benchmark.page import main
from mvt4g.benchmark.previews import HEIGHT, embedded_or_linked, preview_path, shrunk
from mvt4g.benchmark.scenes import source_axis
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.formats.video import read_video, write_video
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.types import InputError
from tests.benchmark.made_up_scores import write_out
from tests.commands.test_compare_probes import MAPS, MATCHES, written

HOSTILE = "<!--<script>&{{table}}"
CLIPS = {"dog": 4, "bear": 3}
SCORES = {
    "ours": {"met3r": {("dog", "cam01"): 0.25, ("dog", "cam09"): 0.3, ("bear", "cam01"): 0.2}},
    HOSTILE: {"met3r": {("dog", "cam01"): 0.4}},
}


def grey(num_frames: int, shade: float) -> torch.Tensor:
    return torch.full((num_frames, 3, 16, 24), shade)


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A folder of two methods' videos, whose rates differ, their sources, and scores."""
    root = tmp_path_factory.mktemp("scored")
    for place, (method, scores) in enumerate(SCORES.items()):
        for clip, camera in scores["met3r"]:
            path = root / "videos" / method / f"{clip}_{camera}.mp4"
            write_video(path, grey(CLIPS[clip], 0.3 + 0.3 * place), fps=(30, 8)[place])
    for clip, num_frames in CLIPS.items():
        write_video(root / "sources" / f"{clip}.mp4", grey(num_frames + 2, 0.9), fps=24)
    write_out(root / "out", SCORES)
    return root


def run(scored: Path, *more: str) -> int:
    places = ["--videos", str(scored / "videos"), "--sources", str(scored / "sources")]
    return main([str(scored / "out"), *places, *more])


def data_of(page: str) -> dict:
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(block)


def test_the_page_holds_every_video_once_and_asks_for_nothing(scored):
    assert run(scored) == 0
    page = (scored / "out" / "page.html").read_text()
    data = data_of(page)
    assert data["methods"] == ["ours", HOSTILE]
    assert [clip["name"] for clip in data["clips"]] == ["bear", "dog"]
    dog = data["clips"][1]
    assert [camera["name"] for camera in dog["cameras"]] == ["cam01", "cam09"]
    shown = dog["cameras"][0]["videos"]
    assert shown["ours"]["frames"] == shown[HOSTILE]["frames"] == 4
    assert dog["reference"]["frames"] == 4  # as long as what is beside it
    assert dog["cameras"][0]["videos"]["ours"]["note"] == "MEt3R 0.250"
    assert dog["cameras"][1]["why"][HOSTILE] == "not among its videos"
    videos = re.findall(r'"src": ?"([^"]{0,30})', page)
    assert videos
    assert all(source.startswith("data:video/mp4;base64,") for source in videos)
    assert not re.search(r"https?://(?!www\.w3\.org)", page.replace(r"\/", "/"))


def test_a_hostile_name_neither_ends_the_script_nor_fills_a_slot(scored):
    assert run(scored) == 0
    page = (scored / "out" / "page.html").read_text()
    assert page.count("</script>") == page.count("<script") == 2
    assert "<!--" not in page
    assert page.count('class="scores"') == 1


def test_paths_are_drawn_for_cameras_that_are_known(scored):
    assert run(scored, "--clips", "dog") == 0
    page = (scored / "out" / "page.html").read_text()
    (plan,) = re.findall(r'<template id="plan-\d+">(.*?)</template>', page, re.DOTALL)
    assert re.findall(r'data-camera="(\w+)"', plan) == ["cam01", "cam09"] * 2
    dots = re.findall(r'data-points="([^"]*)"', plan)
    assert {len(dot.split()) for dot in dots} == {4}


def test_over_the_limit_videos_are_linked_by_relative_path(scored):
    assert run(scored, "--embed", "0") == 0
    for camera in data_of((scored / "out" / "page.html").read_text())["clips"][1]["cameras"]:
        for video in camera["videos"].values():
            assert video["src"].startswith("page/")
            assert read_video(scored / "out" / video["src"].replace("%20", " "))[0].shape == (4, 3, 16, 24)


def test_the_limit_is_of_all_together(tmp_path):
    paths = [tmp_path / "a b#.mp4", tmp_path / "c.mp4"]
    for path in paths:
        path.write_bytes(b"x" * 600)
    page = tmp_path / "page.html"
    assert set(embedded_or_linked(paths, page, 0.0012).values()) == {f"data:video/mp4;base64,{'eHh4' * 200}"}
    assert list(embedded_or_linked(paths, page, 0.0011).values()) == ["a%20b%23.mp4", "c.mp4"]


def test_a_video_that_is_gone_leaves_a_page_and_says_so(scored, tmp_path, capfd):
    shutil.copytree(scored, tmp_path / "all")
    (tmp_path / "all" / "videos" / "ours" / "dog_cam09.mp4").write_bytes(b"no video")
    shutil.rmtree(tmp_path / "all" / "out" / "page", ignore_errors=True)
    assert run(tmp_path / "all") == 2
    assert "dog_cam09.mp4" in capfd.readouterr().err
    cameras = data_of((tmp_path / "all" / "out" / "page.html").read_text())["clips"][1]["cameras"]
    assert cameras[1]["why"]["ours"] == "cannot be read any more"
    assert cameras[0]["videos"]["ours"]


def test_copies_are_kept_until_their_source_changes(scored):
    assert run(scored) == 0
    (copy,) = (scored / "out" / "page" / "ours").glob("dog_cam01*.mp4")
    before = copy.stat().st_mtime_ns
    assert run(scored) == 0
    assert copy.stat().st_mtime_ns == before
    (scored / "videos" / "ours" / "dog_cam01.mp4").touch()
    assert run(scored) == 0
    assert copy.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--clips", "cat"], "--clips: got 'cat', want some of bear, dog"),
        (["--embed", "-1"], "want megabytes, at least 0"),
        (["--embed", "nan"], "want megabytes, at least 0"),
        (["--probes", "run"], "want LABEL=RUN"),
        (["--probes", "a=nowhere"], "nowhere/test/probe/matches.npz"),
        (["--videos", "nowhere"], "--videos: got nowhere"),
    ],
)
def test_bad_options_are_one_line(scored, capfd, options, told):
    assert run(scored, *options) == 2
    assert told in capfd.readouterr().err


def test_names_of_copies_stay_inside_and_apart(tmp_path):
    names = ["a/b", "a b", "..", "../../etc/x", "a-b", "é", "", "."]
    found = {preview_path(tmp_path, name, "clip") for name in names}
    assert len(found) == len(names)
    assert all(path.resolve().is_relative_to(tmp_path / "page") for path in found)
    plain = preview_path(tmp_path, "ours", "dog_cam01")
    assert plain == tmp_path / "page" / "ours" / "dog_cam01.mp4"
    assert preview_path(tmp_path, "ours", "dog_cam01", [0, 1]) not in (
        plain,
        preview_path(tmp_path, "ours", "dog_cam01", [1]),
    )


def test_large_frames_become_small_and_small_ones_stay():
    assert shrunk(torch.rand(1, 3, 480, 832)).shape == (1, 3, HEIGHT, 416)
    small = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(shrunk(small), small)


@pytest.mark.parametrize(
    ("source", "ticks"),
    [
        ((0, 1, 2), [10, 11, 12]),
        ((0, 2, 4), [10, 10, 11, 11, 12]),  # every second frame: each stays until the next
        ((2, 3, 4), [10, 10, 10, 11, 12]),  # from frame 2 on
        ((5, 5, 5), [10, 11, 12]),  # time stands still
    ],
)
def test_what_is_shown_at_each_frame_of_the_source(source, ticks):
    assert source_axis(AlignedFrames((10, 11, 12), source)) == ticks


def test_methods_of_other_strides_are_in_step(tmp_path):
    """One method shows every second frame of the source, the other all of them; frame k has brightness k / 10."""
    ramp = torch.linspace(0, 0.8, 9)[:, None, None, None].expand(9, 3, 16, 16)
    write_video(tmp_path / "sources" / "dog.mp4", ramp, fps=24)
    write_video(tmp_path / "videos" / "all" / "dog_cam01.mp4", ramp, fps=30)
    write_video(tmp_path / "videos" / "second" / "dog_cam01.mp4", ramp[::2], fps=10)
    write_out(tmp_path / "out", {name: {"met3r": {("dog", "cam01"): 0.1}} for name in ("all", "second")})
    layouts = tmp_path / "layouts.yaml"
    layouts.write_text("layouts: {sparse: {base: plain, frames: {stride: 2}}}\nmethods: {second: sparse, all: plain}\n")
    facts = json.loads((tmp_path / "out" / "methods.json").read_text())
    facts["settings"] = {
        "dir": str(tmp_path / "videos"), "sources": str(tmp_path / "sources"), "layout": str(layouts), "frames": None
    }  # fmt: skip
    (tmp_path / "out" / "methods.json").write_text(json.dumps(facts))
    assert main([str(tmp_path / "out")]) == 0
    shown = {}
    for name in ("all", "second", "reference"):
        (copy,) = (tmp_path / "out" / "page" / name).glob("dog*.mp4")
        shown[name] = read_video(copy)[0].mean(dim=(1, 2, 3))
    assert [len(levels) for levels in shown.values()] == [9, 9, 9]
    torch.testing.assert_close(shown["all"], shown["reference"], atol=0.02, rtol=0)
    torch.testing.assert_close(shown["second"], shown["all"][[0, 0, 2, 2, 4, 4, 6, 6, 8]], atol=0.02, rtol=0)


def test_a_path_is_drawn_at_its_places():
    """The camera goes 2 m ahead: up in the drawing from above, to the right in that from the side."""
    path = benchmark_trajectory("cam05", 81)
    drawn = draw_paths({"cam05": path})
    above, side = (
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polyline class="path"[^>]* points="([^"]*)"', drawn)
    )
    assert above[0] == side[0] == (180.0, 180.0)
    assert above[-1][0] == pytest.approx(180.0)
    assert 180.0 - above[-1][1] == pytest.approx(side[-1][0] - 180.0, abs=0.2)
    # From the middle to the margin are 146 px, which stand for the farthest place and a quarter more.
    assert above[-1][1] == pytest.approx(180 - 146 / 1.24, abs=0.1)
    assert len(above) == 81


def test_a_name_of_a_camera_is_text_in_the_drawing():
    assert "<b>" not in draw_paths({"<b>": torch.eye(4)[None]})


def test_attention_of_two_probes(tmp_path):
    runs = {name: Path(written(tmp_path / name)) for name in ("before", "after")}
    (look,) = probe_looks(runs)
    assert look.name == "a, point 1"
    query, before, after = look.pictures
    assert query == "query at (5, 5), frame 0"
    assert re.fullmatch(r"before, layer [03]: \d+\.\d px off", before)
    assert after.startswith("after, layer ")
    assert all(picture.startswith(b"\x89PNG") for picture in look.pictures.values())


def test_probes_of_other_points_are_refused(tmp_path):
    other = replace(MATCHES, queries=MATCHES.queries + 1)
    runs = {"a": Path(written(tmp_path / "a")), "b": Path(written(tmp_path / "b", MAPS, other))}
    with pytest.raises(InputError, match="got other query points of b than of a"):
        probe_looks(runs)


def test_the_script_is_one_that_node_can_read():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed here")
    script = Path(previews.__file__).with_name("page_parts") / "page.js"
    assert subprocess.run([node, "--check", str(script)], capture_output=True, check=False).returncode == 0


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed here")
@pytest.mark.parametrize("embed", ["20", "0"])
def test_a_browser_shows_it_from_disk_without_an_error(scored, tmp_path, embed):
    """All videos of the chosen scene and camera are decoded, none fails, and nothing is told on the console.

    The DOM is dumped at the page's load event, which waits for the first frame of every video.
    """
    probe = written(tmp_path / "probe")
    assert run(scored, "--embed", embed, "--probes", f"ours={probe}") == 0
    page = scored / "out" / "page.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--proxy-server=127.0.0.1:9", "--dump-dom"]
    told = subprocess.run(
        [str(CHROMIUM), *flags, f"{page.as_uri()}#dog/cam09/2"], capture_output=True, text=True, timeout=300, check=True
    )
    assert [line for line in told.stderr.splitlines() if "CONSOLE" in line] == []
    (body,) = re.findall(r"<body[^>]*>", told.stdout)
    shown = dict(re.findall(r'data-(\w+)="(\d+)"', body))
    # Side by side: reference, ours; of all cameras: reference, ours twice.
    assert shown == {"videos": "5", "loaded": "5", "failed": "0"}
    assert "frame 3 of 4" in told.stdout
    assert told.stdout.count('<div class="nothing">') == 1
    assert "px off" in told.stdout
