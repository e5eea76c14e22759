"""How densely a folder of code is packed, by room: comprehensions, tuple assignments, comments, length of lines.

    python -m experiments.benchmarks.density [FOLDER]

A code line is one that is neither blank, comment nor docstring. A tuple assignment is ``a, b = x, y``: several values
given names at once, not one that is taken apart. A comment counts unless it talks to a tool (``noqa``, ``type:``,
``fmt:``). The length of a line is counted without its indentation. Source: issue 17's bars.
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

BARS = {"comprehensions": 25, "tuple assignments": 8, "comments": 2, "characters": 42}
"""At most so many comprehensions and tuple assignments a thousand code lines, at least so many comments a hundred, at
most so many characters a line on average."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
TO_TOOLS = ("noqa", "type:", "fmt:")


def count(source: str) -> Counter[str]:
    """Count what one file holds."""
    tree = ast.parse(source)
    counts: Counter[str] = Counter()
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, COMPREHENSIONS):
            counts["comprehensions"] += 1
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            counts["tuple assignments"] += any(isinstance(target, ast.Tuple) for target in node.targets)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None, "parsed code has it"
            prose.update(range(node.lineno, node.end_lineno + 1))
    for number, line in enumerate(source.splitlines(), start=1):
        text = line.strip()
        if text and not text.startswith("#") and number not in prose:
            counts["lines"] += 1
            counts["characters"] += len(text)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not any(word in token.string for word in TO_TOOLS):
            counts["comments"] += 1
    return counts


def figures(counts: Counter[str]) -> dict[str, float]:
    """Return the figures that the bars are for."""
    lines = max(1, counts["lines"])
    return {
        "comprehensions": 1000 * counts["comprehensions"] / lines,
        "tuple assignments": 1000 * counts["tuple assignments"] / lines,
        "comments": 100 * counts["comments"] / lines,
        "characters": counts["characters"] / lines,
    }


def table(folder: Path) -> str:
    """Return the figures of every room and of all as a Markdown table."""
    rooms: dict[str, Counter[str]] = {}
    for file in sorted(folder.rglob("*.py")):
        room = file.relative_to(folder).parts[0].removesuffix(".py")
        rooms.setdefault(room, Counter()).update(count(file.read_text()))
    rows = ["| room | code lines | " + " | ".join(BARS) + " |", "|---" + "|---:" * (len(BARS) + 1) + "|"]
    rooms["all"] = sum(rooms.values(), Counter())
    for room, counts in rooms.items():
        shown = " | ".join(f"{value:.1f}" for value in figures(counts).values())
        rows.append(f"| {room} | {counts['lines']} | {shown} |")
    rows.append("| bar | | " + " | ".join(map(str, BARS.values())) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(Path(sys.argv[1] if len(sys.argv) > 1 else "mvt4g")))
