"""The manifest of a method's videos: what is written is read, and what is none is refused."""

import json

import pytest

from mvt4g.benchmark.manifest import ASKED, MADE, MANIFEST, Manifest, read_manifest, write_manifest
from mvt4g.types import InputError

ASKED_VIDEO = {
    "file": "dog_cam01.mp4",
    "status": "failed",
    "reason": "why",
    "clip": "dog",
    "camera": "cam01",
    "seed": 0,
}
MADE_VIDEO = {**ASKED_VIDEO, **dict.fromkeys(MADE), "file": "dog_cam02.mp4", "status": "made", "cameras": "c.json"}


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path, Manifest("mine", [MADE_VIDEO, ASKED_VIDEO]))
    found = read_manifest(tmp_path)
    assert (found.method, found.counts) == ("mine", {"made": 1, "failed": 1, "missing": 0})
    assert found.videos == [ASKED_VIDEO, MADE_VIDEO], "by file"
    first = (tmp_path / MANIFEST).read_bytes()
    write_manifest(tmp_path, Manifest("mine", [ASKED_VIDEO, MADE_VIDEO]))
    assert (tmp_path / MANIFEST).read_bytes() == first
    assert set(ASKED_VIDEO) == set(ASKED)


def test_a_method_without_videos(tmp_path):
    write_manifest(tmp_path, Manifest("mine", []))
    assert read_manifest(tmp_path) == Manifest("mine", [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "nice"}, "status is one of made"),
        ({"status": "made"}, "frames: missing"),
        ({"file": "../x.mp4"}, "inside the folder"),
        ({"cameras": "/etc/x.json"}, "inside the folder"),
    ],
)
def test_what_is_no_entry_is_refused(change, told, tmp_path):
    content = {"format": "mvt4g benchmark videos", "version": 1, "method": "m", "videos": [{**ASKED_VIDEO, **change}]}
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InputError, match=told):
        read_manifest(tmp_path)


@pytest.mark.parametrize("change", [{"version": 2}, {"format": "mvt4g clips"}, {"videos": {}}, {"method": None}])
def test_what_is_no_manifest_is_refused(change, tmp_path):
    content = {"format": "mvt4g benchmark videos", "version": 1, "method": "m", "videos": [], **change}
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InputError, match=MANIFEST):
        read_manifest(tmp_path)
