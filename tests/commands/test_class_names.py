"""Names of classes as the sources give them, and what is said of a name that no class has."""

import pytest

from mvt4g.commands.parsing.class_names import classes_made_from, nearest_class, public_classes
from mvt4g.commands.parsing.messages import innermost
from mvt4g.systems.novel_view import NovelViewSystem

SYSTEM = "mvt4g.systems.novel_view.NovelViewSystem"


def test_a_class_is_described_as_it_is():
    [found] = [known for known in public_classes() if known.path == SYSTEM]
    assert found.name == NovelViewSystem.__name__
    assert found.bases == tuple(base.__name__ for base in NovelViewSystem.__bases__)
    assert NovelViewSystem.__doc__.startswith(found.about)


def test_indirect_descent_counts():
    paths = [known.path for known in classes_made_from("LightningModule")]
    assert SYSTEM in paths  # by way of TrainedSystem
    assert "mvt4g.models.codec.PatchCodec" not in paths


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("NovelViewSystm", SYSTEM),
        ("NovelViewSystem", SYSTEM),
        ("mvt4g.systems.probe.NovelViewSystem", SYSTEM),
        ("Zzyx", None),
        ("", None),
    ],
)
def test_nearest(given, want):
    assert nearest_class(given) == want


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("module 'mvt4g.systems.novel_view' has no attribute 'NovelViewSystm'", f"want perhaps {SYSTEM}"),
        ("Expected a dot import path string: NovelViewSystm", f"got NovelViewSystm, want perhaps {SYSTEM}"),
        ("module 'torch.optim' has no attribute 'Zzyx'", "got torch.optim.Zzyx, want the class path of a class"),
        ("want a number", "want a number"),
        ("got [inf, 0.9], want float or dot import path string: inf", "or dot import path string: inf"),
    ],
)
def test_what_is_said(message, line):
    assert innermost(message).endswith(line)
