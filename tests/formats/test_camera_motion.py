"""Camera motions in JSON: the page's examples, the schema beside the reader, and every fault named."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
import torch

from mvt4g.formats.camera_motion import KINDS, is_motion, motion_schema, parse_motion, read_motion
from mvt4g.geometry.camera_motion import Subject
from mvt4g.geometry.camera_moves import Slide
from mvt4g.geometry.pose import check_poses
from mvt4g.types import InputError

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", (DOCS / "cameras.md").read_text(), re.DOTALL)
]
SCHEMA = jsonschema.Draft202012Validator(motion_schema())
PLAIN = {"moves": [{"kind": "truck", "distance": 1}]}
ORBIT = {"subject": {"distance": 4}, "moves": [{"kind": "orbit", "azimuth_deg": 30}]}


def parse(content):
    return parse_motion(content, "a.json")


def test_the_page_has_an_example_of_every_kind():
    assert {move["kind"] for example in EXAMPLES for move in example["moves"]} == set(KINDS)
    assert {example.get("relative_to", "source_start") for example in EXAMPLES} == {
        "source_start",
        "source_frames",
        "world",
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["about"])
@pytest.mark.parametrize("num_frames", [1, 7])
def test_the_pages_examples_are_motions(example, num_frames):
    SCHEMA.validate(example)
    motion = parse(example)
    positions = torch.tensor([[0.0, 0.0, 4.0]]).expand(num_frames, 3)
    path, zoom = motion.play(torch.eye(4).expand(num_frames, 4, 4), positions)
    check_poses(path, "path")
    assert len(zoom) == len(path) == num_frames
    if num_frames > 1:
        moves = float((path[-1] - path[0]).abs().max()) > 0.01 or float((zoom - 1).abs().max()) > 0.01
        assert moves or motion.relative_to == "source_frames"


def test_the_schema_on_the_page_is_the_readers():
    assert json.loads((DOCS / "camera_motion.schema.json").read_text()) == motion_schema()


def test_a_motion_from_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(PLAIN | {"frames": 81}))
    motion = read_motion(path)
    assert is_motion(path)
    assert motion.frames == 81
    assert motion.moves[0].move == Slide("right", 1.0)
    path.write_text(json.dumps({"world_from_cam": torch.eye(4).tolist()}))
    assert not is_motion(path)


def test_what_is_left_out():
    motion = parse({"subject": {"distance": 2}, "moves": [{"kind": "look_at"}, {"kind": "look_at", "over": [0, 0.5]}]})
    assert (motion.relative_to, motion.unit, motion.frames, motion.up) == ("source_start", "metres", None, (0, -1, 0))
    assert motion.subject == Subject(2.0)
    assert [timed.over for timed in motion.moves] == [None, (0.0, 0.5)]


def test_a_pose_by_position_and_turns_is_the_same_as_by_matrix():
    turns = {"position": [1, 2, 3], "pan_deg": 90, "tilt_deg": 90}
    # Panned, the view is to the right; tilted then, it is up, and the picture's down side is where it looked.
    matrix = [[0, 1, 0, 1], [0, 0, -1, 2], [-1, 0, 0, 3], [0, 0, 0, 1]]
    for start in (turns, {"matrix": matrix}):
        path, _ = parse(PLAIN | {"start": start, "moves": [{"kind": "pan", "angle_deg": 0}]}).play(torch.eye(4)[None])
        torch.testing.assert_close(path[0], torch.tensor(matrix).float(), atol=1e-6, rtol=0)


def changed(content, place, value):
    new = copy.deepcopy(content)
    part = new
    for name in place[:-1]:
        part = part[name]
    if value is None:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return new


MOVE = ("moves", 0)
ZOOM = {"moves": [{"kind": "zoom", "factor": 2}]}
PRESET = {"moves": [{"kind": "preset", "name": "cam01"}]}
STRETCHED = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])).tolist()
SPLINE = {"moves": [{"kind": "path", "poses": [{"position": [0, 0, 0]}, {"position": [1, 0, 0]}]}]}


@pytest.mark.parametrize(
    ("content", "place", "value", "fault"),
    [
        (PLAIN, ("moves",), None, "a.json: moves: missing, got no field"),
        (PLAIN, ("moves",), [], "a.json: moves: got 0 entries, want a list of 1 to 1000"),
        (PLAIN, ("moves",), {"kind": "truck"}, "a.json: moves: got {'kind': 'truck'}, want a list of 1 to 1000"),
        (PLAIN, ("move",), [], "a.json: move: no such field, want one of version"),
        (PLAIN, ("version",), 2, "a.json: version: got 2, want a whole number in [1, 1]"),
        (PLAIN, ("frames",), 1, "a.json: frames: got 1, want a whole number in [2, 1e+06]"),
        (PLAIN, ("frames",), 8.5, "a.json: frames: got 8.5, want a whole number"),
        (PLAIN, ("relative_to",), "absolute", "a.json: relative_to: got 'absolute', want one of source_start"),
        (PLAIN, ("unit",), "feet", "a.json: unit: got 'feet', want one of metres, subject_distance"),
        (PLAIN, ("up",), [0, 1], "a.json: up: got 2 entries, want a list of 3"),
        (PLAIN, (*MOVE, "kind"), "truk", "a.json: moves[0].kind: got 'truk', want one of truck, crane"),
        (PLAIN, (*MOVE, "kind"), None, "a.json: moves[0].kind: got None, want one of truck"),
        (PLAIN, (*MOVE, "distance"), None, "a.json: moves[0].distance: missing, got no field"),
        (PLAIN, (*MOVE, "distance"), "1", "a.json: moves[0].distance: got '1', want a number in [-1e+06, 1e+06]"),
        (PLAIN, (*MOVE, "distance"), True, "a.json: moves[0].distance: got True, want a number"),
        (PLAIN, (*MOVE, "distance"), 1e7, "a.json: moves[0].distance: got 10000000.0, want a number"),
        (PLAIN, (*MOVE, "angle_deg"), 1, "a.json: moves[0].angle_deg: no such field, want one of distance, over, ease"),
        (PLAIN, (*MOVE, "ease"), "cubic", "a.json: moves[0].ease: got 'cubic', want one of linear, in, out, in_out"),
        (PLAIN, (*MOVE, "over"), [0, 2], "a.json: moves[0].over[1]: got 2, want a number in [0, 1]"),
        (PLAIN, ("start",), {"position": [0, 0]}, "a.json: start.position: got 2 entries, want a list of 3"),
        (PLAIN, ("start",), {"place": [0, 0, 0]}, "a.json: start.place: no such field"),
        (ORBIT, ("subject", "distance"), 0, "a.json: subject.distance: got 0, want a number in (0, 1e+06]"),
        (ORBIT, ("subject", "at"), [0, 0, 1], "a.json: subject: got distance and at of distance, at, track, want one"),
        (ORBIT, ("subject",), {}, "a.json: subject: got none of distance, at, track, want one"),
        (ORBIT, ("subject",), 4, "a.json: subject: got 4, want an object of distance, at, track, times_s"),
        (SPLINE, (*MOVE, "poses"), [{}], "a.json: moves[0].poses: got 1 entries, want a list of 2 to 10000"),
        (SPLINE, (*MOVE, "poses", 1, "at"), 1.5, "a.json: moves[0].poses[1].at: got 1.5, want a number in [0, 1]"),
        (ZOOM, (*MOVE, "factor"), 0, "a.json: moves[0].factor: got 0, want a number in [0.01, 100]"),
        (PRESET, (*MOVE, "name"), "cam11", "a.json: moves[0].name: got 'cam11', want one of cam01, cam02"),
    ],
)  # fmt: skip
def test_what_the_schema_refuses_is_refused_in_one_line(content, place, value, fault):
    """The schema is an independent judge: jsonschema and the reader say no to the same files."""
    assert SCHEMA.is_valid(content)
    parse(content)
    bad = changed(content, place, value)
    assert not SCHEMA.is_valid(bad)
    with pytest.raises(InputError) as caught:
        parse(bad)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "place", "value", "fault"),
    [
        (PLAIN, ("up",), [0, 0, 0], "a.json: up: got [0.0, 0.0, 0.0], want a direction"),
        (PLAIN, ("unit",), "subject_distance", "a.json: subject: missing, want one where unit is 'subject_distance'"),
        (PLAIN, (*MOVE, "over"), [0.5, 0.5], "a.json: moves[0].over: got 0.5 after 0.5, want increasing numbers"),
        (ORBIT, ("subject",), None, "a.json: moves[0]: got no subject, want subject.distance, subject.at or"),
        (ORBIT, ("subject", "times_s"), [0], "a.json: subject.times_s: got 1 times of 0 positions, want"),
        (ORBIT, ("subject",), {"track": [[0, 0, 4]] * 2, "times_s": [1, 1]}, "a.json: subject.times_s: got 1 after 1"),
        (SPLINE, (*MOVE, "poses", 1, "at"), 1, "a.json: moves[0].poses: got 'at' in some of them, want"),
        (SPLINE, (*MOVE, "poses"), [{"at": 0.1}, {"at": 1}], "a.json: moves[0].poses: got 'at' from 0.1 to 1, want"),
        (SPLINE, (*MOVE, "poses"), [{"at": 0}, {"at": 0}, {"at": 1}], "a.json: moves[0].poses: at: got 0 after 0"),
        (PLAIN, ("start",), {"look_at": [0, 0, 0]}, "a.json: start.look_at: got the camera's own position"),
        (PLAIN, ("start",), {"matrix": STRETCHED}, "a.json: start.matrix: got a 3x3"),
        (PLAIN, ("start",), {"matrix": torch.eye(4).tolist(), "pan_deg": 3}, "a.json: start: got matrix and pan_deg"),
    ],
)  # fmt: skip
def test_what_a_schema_cannot_tell_is_refused_too(content, place, value, fault):
    bad = changed(content, place, value)
    assert SCHEMA.is_valid(bad)
    with pytest.raises(InputError) as caught:
        parse(bad)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"moves": [{"kind": "truck", "distance": NaN}]}', "got NaN, which is no JSON number"),
        ('{"moves": [{"kind": "truck", "distance": 1, "distance": 2}]}', "got key 'distance' twice"),
        ('{"moves": ' + "[" * 100 + "]" * 100 + "}", "nested more than 64 levels deep"),
        ("[]", "got a JSON list, want an object"),
    ],
)  # fmt: skip
def test_files_that_are_no_json_of_ours(tmp_path, text, fault):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_motion(tmp_path / "a.json")
    assert fault in str(caught.value)
