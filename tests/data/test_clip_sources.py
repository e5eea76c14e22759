from pathlib import Path

import pytest

from mvt4g.data.clip_sources import ClipSource, OpenSource, SourceSpec, open_path
from mvt4g.formats.clip_cache import write_clip
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import InputError
from tests.data.made_up_clips import Listed, moving_clip


def test_names():
    assert SourceSpec().called == "generated"
    assert SourceSpec(Path("/data/kubric-multiview/")).called == "kubric-multiview"
    assert SourceSpec(Path("/data/train"), name="mvtracker").called == "mvtracker"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "a/b"}, r"name: got 'a/b', want letters"),
        ({"path": Path("/my clips")}, r"name: got 'my clips', want letters"),
        ({"weight": 0.0}, r"weight: got 0\.0 for generated"),
        ({"weight": float("nan")}, r"weight: got nan for generated"),
        ({"format": "mvtracker"}, r"format: got 'mvtracker' for generated, want it with a path"),
        ({"path": Path("/data"), "scene": SceneSpec()}, r": got path /data and a scene for data"),
    ],
)
def test_bad_values_are_named(values, says):
    with pytest.raises(InputError, match=rf"^sampling\.sources\.?{says}"):
        SourceSpec(**values)


def test_a_folder_of_clips_is_a_source(tmp_path):
    for number in range(3):
        write_clip(tmp_path / f"{number}.npz", moving_clip(seed=number))
    clips = open_path(tmp_path)
    assert isinstance(clips, ClipSource)
    assert isinstance(Listed([]), ClipSource), "as is the one these tests use"
    assert (len(clips), clips.count(0)) == (3, (2, 3))
    assert OpenSource("x", clips, root=tmp_path).where(1) == f"{tmp_path}/1.npz"


@pytest.mark.parametrize(("path", "format"), [("none", None), ("", None), ("", "nonsense")])
def test_what_cannot_be_opened_is_named(tmp_path, path, format):
    with pytest.raises(InputError, match=r"nonsense" if format else str(tmp_path / path)):
        open_path(tmp_path / path, format)
