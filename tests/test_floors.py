"""The sizes of the house, read off the source; its floors are import-linter's, in pyproject.toml."""

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_CONSTRUCTOR_ARGUMENTS = 400, 60, 8

MAX_PARAMETERS = 8
MANY_PARAMETERS = {
    "commands/precompute.py: precompute": "options of the command line",
    "commands/write_clips.py: write_clips": "options of the command line",
    "metrics/functional/consistency.py: met3r": "a name that programs outside rely on",
    "metrics/functional/consistency.py: met3r_from_points": "as met3r",
    "metrics/functional/tracks_3d.py: tapvid_3d": "TAPVid-3D's own",
}
"""Functions of more, and what they mirror."""

ARRAYS = {"Tensor", "ndarray", "NDArray"}
"""What an annotation must give a shape: ``Float[Tensor, "b n 2"]``, or ``Shaped[Tensor, "..."]`` where any will do."""

PACKAGE_FILES = sorted((ROOT / "mvt4g").rglob("*.py"))
ALL_FILES = [*PACKAGE_FILES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "experiments").rglob("*.py"))]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield every module a file names in an import, inside functions too; ``from a import b`` yields ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names)


def size_faults(path: str, source: str) -> list[str]:
    """Return what in a file is larger than a room of this house."""
    faults = []
    if (num_lines := source.count("\n")) > MAX_FILE_LINES:
        faults.append(f"{path}: {num_lines} lines, at most {MAX_FILE_LINES}")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (num_lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES:
            faults.append(f"{path}: {node.name} has {num_lines} lines, at most {MAX_FUNCTION_LINES}")
        num_arguments = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) - 1
        if node.name == "__init__" and num_arguments > MAX_CONSTRUCTOR_ARGUMENTS:
            faults.append(f"{path}: a constructor of {num_arguments} arguments, at most {MAX_CONSTRUCTOR_ARGUMENTS}")
    return faults


def undeclared_packages(sources: list[str], declared: set[str], own: set[str]) -> set[str]:
    """Return the third-party packages that are imported but not among the declared requirements."""
    modules = itertools.chain.from_iterable(imported_modules(ast.parse(source)) for source in sources)
    packages = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - own
    return {package for package in packages if DISTRIBUTIONS.get(package, package) not in declared}


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement).group().lower() for requirement in requirements}


def sources_by_path(files: list[Path]) -> dict[str, str]:
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in files}


def test_files_functions_and_constructors_stay_small():
    faults = [fault for path, source in sources_by_path(ALL_FILES).items() for fault in size_faults(path, source)]
    assert not faults, "\n".join(faults)


def test_functions_take_few_parameters():
    found = {
        f"{path.removeprefix('mvt4g/')}: {node.name}"
        for path, source in sources_by_path(PACKAGE_FILES).items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and num_parameters(node) > MAX_PARAMETERS
    }
    assert found == set(MANY_PARAMETERS)


def test_every_tensor_function_carries_shapes():
    """The hook of pyproject.toml checks them wherever a test calls the function."""
    files = sources_by_path(PACKAGE_FILES)
    assert [fault for path, source in files.items() for fault in shapeless_functions(path, source)] == []


def shapeless_functions(path: str, source: str) -> list[str]:
    """Return the functions of a file, nested ones too, that take or return an array of no stated shape."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
            annotations = [argument.annotation for argument in arguments] + [node.returns]
            if any(names_bare_array(annotation) for annotation in annotations if annotation is not None):
                found.append(f"{path}: {node.name}")
    return found


def names_bare_array(node: ast.AST) -> bool:
    """Say whether an annotation names an array outside ``Kind[Array, "shape"]``."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        _, shape = node.slice.elts
        if isinstance(shape, ast.Constant) and isinstance(shape.value, str):
            return False
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ARRAYS or any(names_bare_array(child) for child in ast.iter_child_nodes(node))


@pytest.mark.parametrize(
    ("signature", "is_caught"),
    [
        ("def f(x: Tensor): ...", True),
        ("def f(x: Float[Tensor, 'n']) -> np.ndarray: ...", True),
        ("def f(x: dict[str, torch.Tensor] | None): ...", True),
        ("def f(x: Callable[[Tensor], int]): ...", True),
        ("class A:\n    def f(self, *x: Tensor): ...", True),
        ("def f():\n    def g() -> Tensor: ...", True),
        ("def f(x: Float[Tensor, 'n'], y: dict[str, Shaped[np.ndarray, '...']]) -> None: ...", False),
        ("def f(x: int = 1): ...", False),
    ],
)
def test_a_tensor_without_a_shape_is_caught(signature, is_caught):
    assert bool(shapeless_functions("made_up.py", signature)) == is_caught


def num_parameters(node: ast.FunctionDef) -> int:
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return sum(argument.arg not in ("self", "cls") for argument in arguments)


@pytest.mark.parametrize(
    ("path", "name"), [("systems/novel_view.py", "NovelViewSystem"), ("systems/tracking.py", "MultiViewTracking")]
)
def test_systems_are_built_of_seven_parts(path, name):
    (system,) = (node for node in classes_of(path) if node.name == name)
    (constructor,) = (node for node in system.body if getattr(node, "name", "") == "__init__")
    assert num_parameters(constructor) <= 7


def test_the_dit_reads_like_its_figure():
    (dit,) = (node for node in classes_of("models/video_dit.py") if node.name == "VideoDiT")
    (forward,) = (node for node in dit.body if getattr(node, "name", "") == "forward")
    code = "\n".join(ast.unparse(statement) for statement in forward.body[1:])
    assert code.count("\n") < 20
    assert not re.search(r"slice|rank|== 0", code)


def classes_of(path: str) -> Iterator[ast.ClassDef]:
    tree = ast.parse((ROOT / "mvt4g" / path).read_text())
    return (node for node in tree.body if isinstance(node, ast.ClassDef))


def test_init_files_are_empty_but_for_the_version():
    filled = [
        path for path, source in sources_by_path(PACKAGE_FILES).items() if path.endswith("__init__.py") and source
    ]
    names_of_others = ["cli", "inference", "models/backbones", "viz/scene_page"]
    assert sorted(filled) == ["mvt4g/__init__.py", *(f"mvt4g/{room}/__init__.py" for room in names_of_others)]
    root = ast.parse((ROOT / "mvt4g/__init__.py").read_text()).body
    assert [type(statement) for statement in root] == [ast.Expr, ast.Assign]


def test_every_folder_of_the_package_has_an_init_file():
    assert {file.parent for file in PACKAGE_FILES} == {
        file.parent for file in PACKAGE_FILES if file.name == "__init__.py"
    }


def test_every_package_imported_is_a_declared_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    of_users = (extras[name] for name in ("wan", "colmap", "cluster", "viewer"))
    runtime = requirement_names(sum(of_users, project["dependencies"]))
    everything = runtime | requirement_names(extras["dev"])
    package, whole = ([*sources_by_path(files).values()] for files in (PACKAGE_FILES, ALL_FILES))
    assert not undeclared_packages(package, runtime, own={"mvt4g"})
    assert not undeclared_packages(whole, everything, own={"mvt4g", "experiments", "scripts", "tests"})


MADE_UP = {
    "geometry/low.py": "import mvt4g.models.high",
    "models/high.py": "from mvt4g import losses",
    "metrics/late.py": "def late():\n    import mvt4g.data.loading",
    "data/loading.py": "import lightning.pytorch as pl",
    "systems/strange.py": "from experiments import demo\nfrom jsonargparse import lazy_instance",
    "losses/heavy.py": "import open3d.core\nimport pytorch_lightning",
    "attic/pose.py": "",
}
"""Files of a made-up package, each against a rule."""
FAULTS = (
    "mvt4g.geometry is not allowed to import mvt4g.models",
    "mvt4g.models is not allowed to import mvt4g.losses",
    "mvt4g.metrics is not allowed to import mvt4g.data",
    "mvt4g.data.loading -> lightning",
    "mvt4g.systems.strange -> experiments",
    "mvt4g.systems.strange -> jsonargparse",
    "mvt4g.losses.heavy -> open3d",
    "mvt4g.losses.heavy -> pytorch_lightning",
    "mvt4g.attic",
)


@pytest.mark.parametrize("files", [MADE_UP, {}], ids=["bad", "good"])
def test_import_linter_holds_the_floors(tmp_path, files):
    """import-linter alone holds which room may import what: a made-up package breaks each kind of rule."""
    rooms = ("geometry", "models", "losses", "metrics", "data", "inference", "evaluation", "systems")
    modules = [f"{name}.py" for name in ("ranges", "types", "tensor_fields", "errors")]
    package = tmp_path / "mvt4g"
    for name in ("__init__.py", *(f"{room}/__init__.py" for room in rooms), *modules, *files):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(files.get(name, ""))
    if files:
        (package / "attic" / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    out = done.stdout + done.stderr
    assert done.returncode == (1 if files else 0), out
    assert [fault for fault in FAULTS if (fault in out) != bool(files)] == []


def test_oversize_is_caught():
    body = "    pass\n" * MAX_FUNCTION_LINES
    assert "long_one has 61 lines" in size_faults("made_up.py", f"def long_one():\n{body}")[0]
    assert "401 lines" in size_faults("made_up.py", "\n" * 401)[0]
    assert "9 arguments" in size_faults("made_up.py", "def __init__(self, a, b, c, d, e, f, g, h, *, i): ...")[0]
    assert size_faults("made_up.py", "def __init__(self, a, b, c, d, e, f, g, *, h): ...") == []


def test_an_undeclared_package_is_caught():
    sources = ["import os, numpy, cv2", "from PIL import Image"]
    assert undeclared_packages(sources, declared={"numpy", "pillow"}, own=set()) == {"cv2"}
