"""The verb draw-cameras: what it takes, writes and refuses."""

import json

import pytest
from PIL import Image

from mvt4g.cli import main
from mvt4g.geometry.trajectories import preset_trajectory

ZOOM = {"relative_to": "source_frames", "frames": 9, "moves": [{"kind": "zoom", "factor": 2}]}

SOURCE = ("--camera.source", "path.json", "--camera.fov_deg", "90")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoom.json").write_text(json.dumps(ZOOM))
    poses = preset_trajectory("zoom_in", 5).tolist()
    (tmp_path / "path.json").write_text(json.dumps({"world_from_cam": poses, "times_s": [0, 1, 2, 3, 4]}))
    track = {"track": [[0, 0, 4], [1, 0, 4]], "times_s": [3, 4]}
    (tmp_path / "look.json").write_text(json.dumps({"subject": track, "moves": [{"kind": "look_at"}]}))
    return tmp_path


@pytest.mark.parametrize(
    ("args", "picture", "said"),
    [
        (["cam03"], "cam03.png", "81 frames; way 0 scene units; turn up to 9.9 degrees; 60.0 degrees wide"),
        (["cam05", "--frames", "2", "--camera.scale", "2"], "cam05.png", "2 frames; way 3.98 scene units"),
        (["path.json", "--out", "new/a.png"], "new/a.png", "5 frames; way 1.99 scene units; turn up to 0.0 degrees"),
        (["path.json", "--frames", "3"], "path.png", "3 frames; way 1.99 scene units"),
        (["look.json"], "look.png", "81 frames; way 0 scene units; turn up to 14.0 degrees"),
        (["zoom.json", *SOURCE], "zoom.png", "9 frames; way 1.99 scene units; turn up to 0.0 degrees; 53.1 to 90.0"),
    ],
)  # fmt: skip
def test_a_picture_and_a_line(folder, capsys, args, picture, said):
    assert main(["draw-cameras", *args]) == 0
    out = capsys.readouterr().out
    assert said in out
    assert f"wrote {picture}" in out
    with Image.open(folder / picture) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["none.json"], "none.json: no such file"),
        (["cam11"], "trajectory: got 'cam11', want a .json file"),
        (["cam01", "--out", "a.jpg"], "--out: got a.jpg, want a .png"),
        (["zoom.json"], "zoom.json: relative_to: got 'source_frames' without them"),
        (["cam01", "--frames", "0"], "frames: got 0, want at least 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, capsys, args, fault):
    assert main(["draw-cameras", *args]) == 2
    err = capsys.readouterr().err
    assert fault in err
    assert err.count("\n") == 1
    assert not list(folder.glob("*.png"))
