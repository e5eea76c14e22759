"""Counts the code of mvt4g and experiments, without blanks, comments and docstrings.

    python scripts/count_code.py [COMMIT ...]

Counts every commit named, and the files as they are. A growth is held against the first of them.
"""

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

FOLDERS = ("mvt4g", "experiments")
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def count_lines(source: str) -> int:
    """Return the lines that hold code; a text that stands alone as a statement is a docstring."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def count_commit(commit: str) -> int:
    """Return the lines of a commit."""
    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", commit, *FOLDERS], capture_output=True, check=True)
    paths = [path for path in listed.stdout.decode().splitlines() if path.endswith(".py")]
    texts = (subprocess.run(["git", "show", f"{commit}:{path}"], capture_output=True, check=True) for path in paths)
    return sum(count_lines(text.stdout.decode()) for text in texts)


def main(commits: list[str]) -> None:
    """Print a line for every commit and one for the files as they are."""
    counts = {commit: count_commit(commit) for commit in commits}
    here = (path for folder in FOLDERS for path in Path(folder).rglob("*.py"))
    counts["here"] = sum(count_lines(path.read_text()) for path in here)
    first = next(iter(counts.values()))
    for name, count in counts.items():
        sys.stdout.write(f"{name}: {count} lines, {100 * (count / first - 1):+.1f} %\n")


if __name__ == "__main__":
    main(sys.argv[1:])
