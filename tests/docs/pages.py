"""The pages of the site, and the command and code blocks in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from scripts.docs_site import ROOT, pages

PAGES = pages()
GUIDES = [page for page in PAGES if page.parts[0] in ("README.md", "docs")]
"""Pages whose blocks must work; those of experiments tell of what was run."""
_BLOCK = re.compile(r"^(<!-- runs -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: It stands in.
        language: Behind the fence: ``bash`` = commands, ``python`` = code, ``json`` and ``csv`` = examples of files.
        text: Without the fence.
        runs: Marked by ``<!-- runs -->``: the slow suite runs it.
    """

    page: Path
    language: str
    text: str
    runs: bool


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in some languages."""
    found = [Block(page, kind, text, bool(mark)) for mark, kind, text in _BLOCK.findall((ROOT / page).read_text())]
    return [block for block in found if block.language in languages]


def commands(block: Block) -> list[list[str]]:
    """Return the words of every command, with comments left out, continued lines joined and variables filled in."""
    variables: dict[str, str] = {}
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if len(words) == 1 and (assigned := re.fullmatch(r"([A-Z]+)=(.*)", words[0])):
            variables[assigned[1]] = assigned[2]
        elif words:
            found.append([re.sub(r"\$([A-Z]+)", lambda match: variables[match[1]], word) for word in words])
    return found
