"""MkDocs hook: the site is the repository's Markdown as it lies, so that a link works in both alike.

The path of a page in the site is its path in the repository: ``docs/start.md``, ``experiments/ablation/README.md``. A
file that a page links to or shows comes along under its own path.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "THIRD_PARTY.md", "docs/*.md", "experiments/*/*.md")
STYLE = Path("docs/site.css")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def pages() -> list[Path]:
    """Return the Markdown files of the site, from the root of the repository."""
    return sorted(path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern))


def linked_files(page: Path) -> set[Path]:
    """Return the files of the repository, other than pages, that a page links to."""
    found = set()
    for target in _LINK.findall((ROOT / page).read_text()):
        place = (ROOT / page).parent.joinpath(target).resolve()
        if "://" not in target and place.is_file() and place.is_relative_to(ROOT) and place.suffix != ".md":
            found.add(place.relative_to(ROOT))
    return found


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every experiment's pages to the navigation, by the folder's name."""
    entries = []
    for page in pages():
        if page.parts[0] == "experiments":
            words = [page.parent.name, *([] if page.stem == "README" else [page.stem])]
            entries.append({" ".join(words).replace("_", " ").capitalize(): str(page)})
    assert config.nav is not None
    config.nav.append({"Experiments": entries})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by those of the repository; the theme's own stay."""
    own = [file for file in files if not (file.abs_src_path or "").startswith(f"{config.docs_dir}/")]
    told = pages()
    added = {STYLE, *told, *(linked for page in told for linked in linked_files(page))}
    repository = [File.generated(config, str(path), abs_src_path=str(ROOT / path)) for path in sorted(added)]
    return Files([*own, *repository])
