"""YAML that is right is read as PyYAML reads it; pipes, folded gigabytes, depth, tags and repeated keys are refused."""

import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.formats.parsing import yaml_files
from mvt4g.formats.parsing.yaml_files import parse_yaml, read_yaml, read_yaml_text
from mvt4g.types import InputError

WORDS = st.text("abcyn0123.-: ", max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(params=["libyaml", "python"])
def loader(request, monkeypatch):
    """Both of PyYAML's parsers: not every build has libyaml's."""
    if request.param == "python":
        monkeypatch.setattr(yaml_files, "_Loader", yaml.SafeLoader)


@given(VALUES)
def test_what_was_written_is_read(value):
    assert parse_yaml(yaml.safe_dump(value), "here", "options") == value


@pytest.mark.usefixtures("loader")
def test_aliases_and_merged_keys_are_read(tmp_path):
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\nagain: [*base, *base]\n"
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    base = {"a": 1, "b": 2}
    want = {"base": base, "other": {"a": 1, "b": 3}, "again": [base, base]}
    assert read_yaml(tmp_path / "a.yaml", "options") == want
    assert read_yaml_text(tmp_path / "a.yaml", "options") == text
    assert parse_yaml("", "here", "options") is None


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "got"),
    [
        (LAUGHS, "got more YAML values, aliases counted as what they mean, want at most 131072; --file-memory"),
        ("a: &a [*a]", "line 1: .*alias 'a' of something that it lies in"),
        ("a: 1\nb: {c: 1, c: 2}\n", "line 2: .*key 'c' twice in one mapping"),
        ("yes: 1\ntrue: 2\n", "line 2: .*key 'true' twice"),
        ("? [a, b]\n: 1\n", "line 1: .*a list or mapping as a key"),
        ("a: *b\n", "line 1: .*undefined alias"),
        ("a: 1\n--- \nb: 2\n", "line 2: .*another document"),
        ("a: !!python/object/apply:os.system [true]\n", "line 1: .*could not determine a constructor"),
        ("a: !!python/name:os.system\n", "line 1: .*could not determine a constructor"),
        ("[" * 65 + "]" * 65, "line 1: .*nested more than 64 levels deep"),
        ("[" * 20_000, "cannot be read as YAML"),
        ("{a: " * 20_000, "cannot be read as YAML"),
        ("".join(f"{' ' * n}a:\n" for n in range(300)), "line 6.: .*nested more than 64 levels deep"),
        ("a: [1\nb: 2\n", "line 2"),
        ("a: \x01\n", "cannot be read as YAML"),
        ("a: 2001-99-99\n", "cannot be read as YAML"),
        ("a: " + "9" * 301, "line 1: .*a whole number of 301 digits"),
    ],
)
def test_what_is_refused(text, got):
    with pytest.raises(InputError, match=rf"(?s)here: .*{got}"):
        parse_yaml(text, "here", "options")


def test_a_pipe_is_not_opened_and_length_is_bounded(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match=r"pipe\.yaml: got a named pipe"):
        read_yaml(tmp_path / "pipe.yaml", "options")
    (tmp_path / "long.yaml").write_text("#" * (2**20 + 1))
    with pytest.raises(InputError, match=r"long\.yaml: got a file of 1\.0 MiB, want at most 1\.0 MiB; --file-memory"):
        read_yaml(tmp_path / "long.yaml", "options")
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.yaml: line 1: got byte 0xe9"):
        read_yaml(tmp_path / "latin.yaml", "options")
