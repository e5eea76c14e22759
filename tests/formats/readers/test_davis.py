"""The DAVIS trees: made-up ones, and the real sequences where they are."""

from pathlib import Path

import pytest

from mvt4g.formats.images import read_mask
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.types import InputError
from tests.made_up_davis import make_davis

DATA = Path(__file__).parents[4] / "shared" / "data"
real_data = pytest.mark.skipif(not (DATA / "DAVIS").is_dir(), reason=f"no real data in {DATA}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_davis(tmp_path / "DAVIS", {"dog": (3, 20, 30), "bear": (2, 16, 16), "cat10": (1, 16, 16)})


def _names(root: Path, *names: str) -> list[str]:
    return [sequence.name for sequence in list_sequences(root, names)]


def test_sequences_are_found_without_image_sets(root: Path) -> None:
    dog = list_sequences(root)[2]
    assert _names(root) == ["bear", "cat10", "dog"]
    assert [path.name for path in dog.frames] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    assert [path and path.name for path in dog.masks] == ["00000.png", "00001.png", "00002.png"]


def test_frames_without_a_mask_have_none(root: Path) -> None:
    (root / "Annotations/480p/dog/00001.png").unlink()
    assert [path is None for path in list_sequences(root, ["dog"])[0].masks] == [False, True, False]


def test_names_and_sets_pick_sequences_in_order(root: Path) -> None:
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("dog\nbear\n\n")
    (root / "ImageSets/480p").mkdir()
    pairs = [f"/JPEGImages/480p/cat10/0000{i}.jpg /Annotations/480p/cat10/0000{i}.png" for i in range(2)]
    (root / "ImageSets/480p/train.txt").write_text("\n".join(pairs))
    assert _names(root, "val") == ["dog", "bear"]
    assert _names(root, "train") == ["cat10"]
    assert _names(root, "2017/val", "cat10", "dog") == ["dog", "bear", "cat10"]


def test_the_resolution_is_480p_unless_asked_or_absent(root: Path) -> None:
    (root / "JPEGImages/480p").rename(root / "JPEGImages/Full-Resolution")
    assert _names(root) == ["bear", "cat10", "dog"]
    with pytest.raises(InputError, match=r"JPEGImages: got no folder 480p, want one of \['Full-Resolution'\]"):
        list_sequences(root, resolution="480p")


@pytest.mark.parametrize(
    ("spoil", "names", "message"),
    [
        (lambda root: (root / "JPEGImages").rename(root / "images"), (), "DAVIS: got no JPEGImages folder"),
        (lambda root: (root / "JPEGImages/480p").rename(root / "JPEGImages/240p"), (), r"got folders \['240p'\]"),
        (lambda root: None, ("wolf",), "got no sequence or set 'wolf', want one of bear, cat10, dog"),
        (lambda root: (root / "wolves.txt").write_text("wolf"), ("../wolves",), r"got sequences \['wolf'\]"),
        (lambda root: (root / "JPEGImages/480p/dog/00000.jpg").rename(root / "a.jpg"), (), None),
    ],
)
def test_what_is_not_there_is_named(root: Path, spoil, names: tuple[str, ...], message: str | None) -> None:
    (root / "ImageSets").mkdir()
    spoil(root)
    if message is None:
        assert len(list_sequences(root, names)[2].frames) == 2
        return
    with pytest.raises(InputError, match=message):
        list_sequences(root, names)


def test_an_empty_sequence_is_named(root: Path) -> None:
    (root / "JPEGImages/480p/ape").mkdir()
    with pytest.raises(InputError, match=r"ape: got no image, want frames"):
        list_sequences(root)


@real_data
def test_real_davis_2016() -> None:
    found = {sequence.name: sequence for sequence in list_sequences(DATA / "DAVIS")}
    assert {name: len(sequence.frames) for name, sequence in found.items()} == {
        "car-shadow": 40,
        "dance-twirl": 90,
        "dog": 60,
    }
    mask = found["dog"].masks[0]
    assert mask is not None
    assert read_mask(mask).unique().tolist() == [0, 1]


@real_data
def test_real_palette_masks_keep_their_ids() -> None:
    mask = read_mask(DATA / "davis2017_palette_masks/bike-packing/00000.png")
    assert mask.shape == (480, 910)
    assert mask.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (b"\xef\xbb\xbfbear\r\n\r\ndog\r\n", ["bear", "dog"]),
        (b"/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png 1 1\n", ["bear"]),
        (b"bear\ndog", ["bear", "dog"]),
        (b"my bear\n", r"val\.txt: line 1: got 'my bear', want one name"),
        (b"bear\nd\xe9g\n", r"val\.txt: line 2: got byte 0xe9"),
        ("bear\n".encode("utf-16"), r"val\.txt: got text in UTF-16"),
    ],
)
def test_sets_are_read_whole_or_refused(tmp_path, content, want):
    make_davis(tmp_path, {"bear": (2, 16, 16), "dog": (2, 16, 16)})
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "val.txt").write_bytes(content)
    if isinstance(want, list):
        assert [sequence.name for sequence in list_sequences(tmp_path, ("val",))] == want
        return
    with pytest.raises(InputError, match=want):
        list_sequences(tmp_path, ("val",))
