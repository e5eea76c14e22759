"""What is opened is a regular file of a bearable length, and text is UTF-8."""

import os
import socket

import pytest

from mvt4g.formats.parsing.files import check_regular, read_bytes, read_text
from mvt4g.formats.parsing.limits import VARIABLE, FileLimits, file_limits
from mvt4g.types import InputError


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
        for name, got in {
            "pipe": "got a named pipe, want a regular file: notes",
            "link": "got a named pipe",
            "loop": "cannot be opened",
            "socket": "got a socket",
            ".": "got a folder",
            "none": "no such file, want notes",
            "a\0b": "cannot be opened",
        }.items():
            with pytest.raises(InputError, match=got):
                check_regular(tmp_path / name, "notes")
    with pytest.raises(InputError, match="/dev/zero: got a device"):
        read_text(type(tmp_path)("/dev/zero"), "notes")


def test_length_is_held_against_the_limit_also_where_a_file_lies_about_it(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", "notes", 5) == b"12345"
    with pytest.raises(InputError, match=r"got a file of 5 bytes, want at most 4 bytes; --file-memory .* raises it"):
        read_bytes(tmp_path / "a", "notes", 4)
    status = type(tmp_path)("/proc/self/status")
    assert status.stat().st_size == 0
    with pytest.raises(InputError, match=r"status: got a file of 11 bytes, want at most 10"):
        read_bytes(status, "notes", 10)


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (b"\xef\xbb\xbfa\r\nb", "a\r\nb"),
        ("é".encode(), "é"),
        (b"", ""),
    ],
)
def test_utf8_with_and_without_a_mark(tmp_path, content, want):
    (tmp_path / "a").write_bytes(content)
    assert read_text(tmp_path / "a", "notes") == want


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"one\ntwo\nthr\xe9e\n", "line 3: got byte 0xe9, which is no UTF-8"),
        ("a".encode("utf-16"), "got text in UTF-16"),
        ("a".encode("utf-16-be"), "line 1: got a NUL character"),
        (b"one\n\0", "line 2: got a NUL character"),
    ],
)
def test_other_encodings_are_named(tmp_path, content, got):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=rf"a: {got}"):
        read_text(tmp_path / "a", "notes")


def test_one_option_raises_every_limit_of_size_and_none_of_depth(monkeypatch):
    small = file_limits()
    assert small == FileLimits()
    monkeypatch.setenv(VARIABLE, "4")
    large = file_limits()
    for name in ("memory", "stored", "image_pixels", "json_bytes", "row_bytes", "yaml_bytes", "yaml_nodes"):
        assert getattr(large, name) == 2 * getattr(small, name), name
    assert (large.depth, large.members) == (small.depth, small.members)


@pytest.mark.parametrize("text", ["", "two", "0", "-1", "nan", "inf", "1e9"])
def test_odd_limits_are_refused(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match=r"MVT4G_FILE_MEMORY: got .*, want the GiB that one file may take"):
        file_limits()
