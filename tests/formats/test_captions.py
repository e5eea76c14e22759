import pytest

from mvt4g.formats.captions import read_captions
from mvt4g.types import InputError

METADATA = """\
file_name,text
f18_aperture10/scene1/videos/cam02.mp4,"A man walks, slowly."
f18_aperture10/scene1/videos/cam01.mp4,A man.
bear.mp4,A bear.
"""


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "metadata.csv").write_text(text, encoding=encoding)
        return tmp_path / "metadata.csv"

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_videos_and_the_folders_above_them(write, encoding):
    captions = read_captions(write(METADATA, encoding))
    assert captions.of("bear") == captions.of("bear.mp4") == "A bear."
    assert captions.of("f18_aperture10/scene1/videos/cam01") == "A man."
    assert captions.of("f18_aperture10/scene1") == "A man walks, slowly.", "the first row below it"
    assert captions.of("scene1") is None
    assert sorted(captions.texts) == ["A bear.", "A man walks, slowly.", "A man."]


def test_more_columns_and_a_row_twice_are_no_matter(write):
    captions = read_captions(write("id,text,file_name\n1,A bear.,bear.mp4\n2,A bear.,bear.mp4\n"))
    assert captions.of("bear") == "A bear."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"got an empty file, want a header file_name,text"),
        ("file_name,text\n", r"got no row below the header"),
        ("file,caption\na.mp4,b\n", r"line 1: got header \['file', 'caption'\], want a header file_name,text"),
        ("file_name,text\na.mp4,\n", r"line 2: got .*want a file name and a text"),
        ("file_name,text\na.mp4,b\nc.mp4\n", r"line 3: got 1 fields, want 2"),
        ("file_name,text\na.mp4,b\na.mp4,c\n", r"line 3: got another text of a\.mp4, want one a video"),
    ],
)
def test_bad_files_are_named(write, content, message):
    with pytest.raises(InputError, match=rf"metadata\.csv: {message}"):
        read_captions(write(content))


def test_what_is_no_csv_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file, want CSV with a header file_name,text"):
        read_captions(tmp_path / "none.csv")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"odd\.csv: got text in UTF-16, want UTF-8"):
        read_captions(tmp_path / "odd.csv")
