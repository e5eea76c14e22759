"""``mvt4g benchmark score``: videos missing, broken, short, of another size or name; poses for half of them."""

from pathlib import Path

import pytest
import torch

from mvt4g.benchmark.aligned_video import align_video, scored_frames, shape_of
from mvt4g.benchmark.asked_cameras import AskedSpec
from mvt4g.benchmark.estimated_files import EstimatedFiles
from mvt4g.benchmark.found_videos import find_methods
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.layout_choice import LayoutChoice
from mvt4g.benchmark.score import main
from mvt4g.benchmark.score_ahead import ScoreTask, score_share
from mvt4g.benchmark.score_files import METHODS, ScoreRow, VideoRow, read_methods, read_score_rows, read_video_rows
from mvt4g.benchmark.video_scorer import ScoreSpec
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.types import Cameras, InputError

FRAMES, HEIGHT, WIDTH = 5, 16, 24


def pictures(count: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    frame = torch.arange(count).view(-1, 1, 1, 1) / 10
    return 0.3 + 0.3 * torch.sin(torch.arange(width) / 4 + frame).expand(count, 3, height, width) + frame / 3


def put(path: Path, **shape: int) -> None:
    write_video(path, pictures(**shape), 24, crf=10)


def run(root: Path, out: Path, *options: str) -> tuple[int, list[VideoRow], list[ScoreRow]]:
    code = main([str(root), "--out", str(out), *options])
    return code, read_video_rows(out), read_score_rows(out)


def statuses(rows: list[VideoRow], method: str) -> dict[str, str]:
    return {f"{row.clip} {row.camera}": row.status for row in rows if row.method == method and row.metric == ""}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cameras of a clip: all of them, none, one, and one of every fault."""
    root = tmp_path_factory.mktemp("results")
    for camera in range(1, 5):
        put(root / "ours" / f"dog_cam{camera:02d}.mp4")
    (root / "empty").mkdir()
    put(root / "one" / "dog_cam02.mp4")
    put(root / "faulty" / "dog_cam01.mp4")
    put(root / "faulty" / "dog_cam02.mp4", count=3)
    put(root / "faulty" / "dog_cam03.mp4", height=18)
    whole = (root / "ours" / "dog_cam04.mp4").read_bytes()
    (root / "faulty" / "dog_cam04.mp4").write_bytes(whole[: len(whole) // 2])
    put(root / "faulty" / "dog.mp4")
    return root


def test_what_is_wrong_is_listed_and_the_rest_is_scored(results, tmp_path, capsys):
    code, rows, scores = run(results, tmp_path, "--preset", "full_reference")
    assert code == 2
    assert set(statuses(rows, "ours").values()) == {"scored"}
    assert set(statuses(rows, "empty").values()) == {"missing"}
    assert statuses(rows, "one") == {
        "dog cam01": "missing", "dog cam02": "scored", "dog cam03": "missing", "dog cam04": "missing",
    }  # fmt: skip
    assert statuses(rows, "faulty") == {
        "dog ": "unnamed", "dog cam01": "scored", "dog cam02": "short", "dog cam03": "size", "dog cam04": "damaged",
    }  # fmt: skip
    assert all(row.reason for row in rows if row.status not in ("scored",))
    (none,) = [row for row in scores if row.method == "empty"]
    assert (none.metric, none.videos, none.missing) == ("", 0, 4)
    counts = read_methods(tmp_path)["methods"]["faulty"]["counts"]
    assert counts == {"damaged": 1, "expected": 4, "scored": 1, "short": 1, "size": 1, "unnamed": 1}
    told = capsys.readouterr()
    assert "faulty: 1 of 4 videos scored, 1 damaged, 1 short, 1 size, 1 unnamed" in told.out
    assert "want 24x16 as the method's other videos" in told.err


def test_a_folder_with_another_programs_names(results, tmp_path, capsys):
    """By its own names the folder is ReCamMaster's, whatever it is called; told otherwise, no name is known."""
    root = tmp_path / "videos"
    put(root / "gen3cs" / "results" / "cam_type1" / "video0.mp4")
    code, rows, _ = run(root, tmp_path / "auto", "--preset", "full_reference")
    assert read_methods(tmp_path / "auto")["methods"]["gen3cs"]["layout"] == "recammaster"
    assert [row.status for row in rows] == ["size"]
    code, rows, _ = run(root, tmp_path / "told", "--layout", "redirector", "--preset", "full_reference")
    assert (code, [row.status for row in rows]) == (2, ["unnamed"])
    assert "no name of layout redirector" in rows[0].reason


def asked(camera: str) -> Cameras:
    path = benchmark_trajectory(camera, FRAMES)
    lens = torch.tensor([[20.0, 0.0, 12.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]])
    return Cameras(invert_pose(path), lens.expand(FRAMES, 3, 3))


def test_poses_of_half_the_videos(results, tmp_path, capsys):
    """Those that are there are the asked ones, so that errors are 0; the others are counted, and exit is 0."""
    for camera in ("cam01", "cam05"):
        write_trajectory(tmp_path / f"dog_{camera}.json", asked(camera), (HEIGHT, WIDTH))
    root = tmp_path / "videos"
    for camera in ("cam01", "cam02", "cam05", "cam06"):
        put(root / "ours" / f"dog_{camera}.mp4")
    code, rows, scores = run(root, tmp_path / "out", "--poses", f"json:{tmp_path}/{{name}}.json", "--preset", "camI2V")
    assert code == 0
    errors = {row.camera: row for row in rows if row.metric == "camera/camI2V/rotation_error_rad_sum"}
    assert {camera for camera, row in errors.items() if row.status == "no_value"} == {"cam02", "cam06"}
    assert "dog_cam02.json: not there" in errors["cam02"].reason
    assert errors["cam01"].value == pytest.approx(0.0, abs=1e-5)
    (score,) = [row for row in scores if row.metric == "camera/camI2V/rotation_error_rad_sum"]
    assert (score.videos, score.missing, score.better) == (2, 2, "lower")


def test_an_odd_field_of_view_is_told_of_in_the_table(results, tmp_path, capsys):
    cameras = asked("cam01")
    lens = cameras.intrinsics * torch.tensor([20.0, 20.0, 1.0]).view(3, 1)
    write_trajectory(tmp_path / "dog_cam01.json", Cameras(cameras.cam_from_world, lens), (HEIGHT, WIDTH))
    put(tmp_path / "v" / "ours" / "dog_cam01.mp4")
    _, rows, _ = run(tmp_path / "v", tmp_path / "o", "--poses", f"json:{tmp_path}/{{name}}.json", "--preset", "camI2V")
    (own,) = [row for row in rows if row.metric == ""]
    assert "the field of view is 3.4 degrees, usual are 20 to 120" in own.reason


def test_a_camera_told_from_each_source_frame_needs_the_sources_cameras(tmp_path, capsys):
    """With them the path is source times asked; without them there is no error, not a wrong one."""
    source = benchmark_trajectory("cam09", FRAMES)
    lens = asked("cam01").intrinsics
    shown = source @ benchmark_trajectory("cam01", FRAMES)
    write_trajectory(tmp_path / "dog.json", Cameras(invert_pose(source), lens), (HEIGHT, WIDTH))
    write_trajectory(tmp_path / "dog_cam01.json", Cameras(invert_pose(shown), lens), (HEIGHT, WIDTH))
    put(tmp_path / "v" / "ours" / "dog_cam01.mp4")
    (tmp_path / "l.yaml").write_text("layouts: {kept: {relative_to: source_frames}}\n")
    common = ("--preset", "camI2V", "--layout", str(tmp_path / "l.yaml"), "--poses", f"json:{tmp_path}/{{name}}.json")
    key = "camera/camI2V/cam_mc_sum"
    _, rows, _ = run(tmp_path / "v", tmp_path / "without", *common)
    (row,) = [row for row in rows if row.metric == key]
    assert (row.value, "--source_cameras" in row.reason) == (None, True)
    _, rows, _ = run(tmp_path / "v", tmp_path / "with", *common, "--source_cameras", f"json:{tmp_path}/{{clip}}.json")
    (row,) = [row for row in rows if row.metric == key]
    assert row.value == pytest.approx(0.0, abs=1e-4)


def test_an_estimator_gets_the_sources_intrinsics_cut_as_the_picture(tmp_path):
    """Of a source of 32x16 the middle 24 columns are kept: the principal point moves by 4."""
    put(tmp_path / "sources" / "dog.mp4", width=32)
    put(tmp_path / "videos" / "ours" / "dog_cam01.mp4")
    lens = torch.tensor([[20.0, 0.0, 16.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]]).expand(FRAMES, 3, 3)
    write_trajectory(tmp_path / "dog.json", Cameras(asked("cam01").cam_from_world, lens), (HEIGHT, 32))
    (method,) = find_methods(tmp_path / "videos", LayoutChoice())
    (video,) = method.videos
    clip = Sources.find(tmp_path / "sources").clip("dog", "cam01")
    shape = shape_of(video, method.layout)
    aligned = align_video(method, video, shape, clip, scored_frames(method.layout, video, shape, clip))
    spec = AskedSpec(sources=EstimatedFiles.parse("source_cameras", f"json:{tmp_path}/{{clip}}.json"))
    found = spec.lens(method, video, aligned)
    torch.testing.assert_close(found[0], torch.tensor([[20.0, 0.0, 12.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]]))
    assert AskedSpec().lens(method, video, aligned) is None


def test_a_second_start_scores_only_what_is_new(results, tmp_path, capsys):
    root, out = tmp_path / "videos", tmp_path / "out"
    put(root / "ours" / "dog_cam01.mp4")
    first = run(root, out, "--preset", "full_reference")[1:]
    assert run(root, out, "--preset", "full_reference")[1:] == first
    assert "1 videos were scored before" in capsys.readouterr().out
    put(root / "ours" / "dog_cam02.mp4")
    code, rows, _ = run(root, out, "--preset", "full_reference")
    assert (code, statuses(rows, "ours")) == (0, {"dog cam01": "scored", "dog cam02": "scored"})
    assert "1 videos were scored before" in capsys.readouterr().out
    run(root, out, "--preset", "full_reference", "--frames", "3")
    assert "scored before" not in capsys.readouterr().out
    assert read_methods(out)["methods"]["ours"]["frames"] == [3, 3]


def test_an_index_says_what_names_do_not(tmp_path, capsys):
    root = tmp_path / "videos"
    put(root / "ours" / "a.mp4")
    put(root / "ours" / "b.mp4")
    (root / "ours" / "index.csv").write_text("file,clip,camera,seed\na.mp4,dog,cam01,\nb.mp4,dog,cam01,2\n")
    code, rows, _ = run(root, tmp_path / "out", "--preset", "full_reference")
    found = [(row.clip, row.camera, row.seed) for row in rows if row.metric == ""]
    assert (code, found) == (0, [("dog", "cam01", ""), ("dog", "cam01", "2")])
    (root / "ours" / "index.csv").write_text("file,clip,camera\nc.mp4,dog,cam01\n")
    with pytest.raises(InputError, match=r"index.csv: line 2: got 'c.mp4', want a file below"):
        main([str(root), "--out", str(tmp_path / "out")])


def test_a_method_that_is_called_as_a_folder_of_a_layout(tmp_path, capsys):
    """``predict`` beside another method is a method; alone it is a folder of the one method."""
    root, out = tmp_path / "videos", tmp_path / "out"
    put(root / "predict" / "dog" / "cam01-s0" / "generated.mp4")
    assert {row.method for row in run(root, out, "--preset", "camI2V")[1]} == {"videos"}
    put(root / "ours" / "dog_cam01.mp4")
    assert {row.method for row in run(root, out, "--preset", "camI2V")[1]} == {"ours", "predict"}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--layout", "gen4"), "layout: got 'gen4', want auto, METHOD=LAYOUT"),
        (("--layout", "ours=gen4"), "layout: got layout 'gen4', want one of recammaster"),
        (("--poses", "vipe"), "poses: got 'vipe', want LAYOUT:PATH"),
        (("--poses", "vipe:a/b.npz"), "poses: got 'vipe:a/b.npz', want LAYOUT:PATH"),
        (("--methods", "theirs"), "methods: got 'theirs', want folders of"),
        (("--frames", "0"), "frames: got 0"),
        (("--scale", "0"), "scale: got 0"),
        (("--sources", "nowhere"), "sources: got nowhere, which is not there"),
    ],
)
def test_a_bad_option_is_named(results, tmp_path, options, fault):
    with pytest.raises(InputError, match=fault):
        main([str(results), "--out", str(tmp_path / "out"), *options])


def test_nothing_to_score_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        main([str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="got no folder, want one for each method"):
        main([str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out" / METHODS).exists()


@pytest.mark.slow
def test_scores_do_not_depend_on_the_number_of_processes(results, tmp_path, capsys):
    options = ("--preset", "full_reference", "--sources", str(results / "ours"))
    run(results, tmp_path / "one", *options)
    capsys.readouterr()
    code, _, _ = run(results, tmp_path / "two", *options, "--workers", "2")
    assert code == 2
    assert "scored before" not in capsys.readouterr().out
    for name in ("scores.csv", "videos.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "two" / "scored").iterdir()) == sorted(
        path.name for path in (tmp_path / "one" / "scored").iterdir()
    )


def test_a_share_of_the_videos_is_left_for_the_process_that_tells(results, tmp_path, capsys):
    """Shares of two processes are all videos, each once; broken ones are told of by the first alone."""
    methods = tuple(find_methods(results, LayoutChoice.parse("auto"), []))
    spec = ScoreSpec("full_reference")
    shares = [ScoreTask(methods, Sources.find(None), spec, tmp_path, number, 2) for number in range(2)]
    assert [score_share(share) for share in shares] == [3, 3]
    assert [score_share(share) for share in shares] == [0, 0]
    assert len(list((tmp_path / "scored").iterdir())) == 6


def test_too_many_processes_are_refused(results, tmp_path):
    with pytest.raises(InputError, match=r"workers: got 65, want in \[0, 64\]"):
        main([str(results), "--out", str(tmp_path), "--workers", "65"])
