"""The floors of the house, read off the source: imports point down, heavy packages stay where they are named."""

import ast
import itertools
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("tensor_fields", "errors"),
    ("types",),
    ("ranges",),
    ("geometry",),
    ("formats", "matching", "diffusion", "viz"),
    ("synthetic",),
    ("models", "losses", "metrics", "data"),
    ("inference",),
    ("evaluation",),
    ("systems", "callbacks"),
    ("cli", "commands", "__main__"),
    ("sweeps",),
    ("experiments", "tests"),
)
"""From the ground up; a room may import from its own floor, or one below."""
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
SIBLINGS = {"models", "losses", "metrics", "data"}
"""Rooms of one floor that never import each other."""
HOMES = {
    "lightning": (
        "systems/*",
        "callbacks/*",
        "data/*_datamodule.py",
        "cli/*",
        "commands/parsing/*",
        "sweeps/sweep_check.py",
    ),
    "jsonargparse": ("cli/*", "commands/parsing/*"),
    "open3d": ("synthetic/render.py", "synthetic/meshes.py", "viz/point_clouds.py"),
    "mujoco": ("synthetic/physics.py",),
    "matplotlib": ("viz/charts.py",),
    "av": ("formats/video.py", "formats/video_decoding.py"),
    "timm": ("metrics/networks/*",),
    "pycolmap": ("metrics/pose_estimators/*",),
    "diffusers": ("models/wan_codec.py", "diffusion/diffusers_sampler.py"),
    "transformers": ("models/text.py",),
    "tokenizers": ("models/text.py",),
    "ftfy": ("models/text.py",),
    "torchmetrics": (
        "metrics/*.py",
        *(f"metrics/{room}/*.py" for room in ("video", "camera", "tracks", "attention")),
        "evaluation/*",
        "systems/*",
        "callbacks/*",
    ),
}
"""The only modules that may import each heavy package."""
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


def room_of(path: str) -> str:
    """Return the room a file or module lies in: ``mvt4g/data/kubric.py`` and ``mvt4g.data.kubric`` give ``data``."""
    parts = re.split(r"[./]", path.removesuffix(".py"))
    return parts[1] if parts[0] == "mvt4g" and len(parts) > 1 else parts[0]


def import_faults(path: str, source: str) -> list[str]:
    """Return what a file (path from the root of the checkout) imports against the rules of the house."""
    return [
        f"{path} imports {module}: {fault}"
        for module in imported_modules(ast.parse(source))
        if (fault := import_fault(path, module))
    ]


def import_fault(path: str, module: str) -> str | None:
    """Return why a file must not import a module, if it must not."""
    if module.startswith("."):
        return "relative import"
    top = module.partition(".")[0]
    if top in ("mvt4g", "experiments", "tests"):
        return floor_fault(room_of(path), room_of(module))
    top = "lightning" if top == "pytorch_lightning" else top
    if path.startswith("mvt4g/") and top in HOMES:
        at_home = any(PurePosixPath(path).match(f"mvt4g/{home}") for home in HOMES[top])
        return None if at_home else f"{top} belongs in {', '.join(HOMES[top])}"
    return None


def floor_fault(here: str, there: str) -> str | None:
    """Return why one room must not import from another, if it must not."""
    if there == "__version__":
        return None
    if strange := {here, there} - LEVEL.keys():
        return f"no floor has a room {min(strange)}"
    if LEVEL[there] > LEVEL[here]:
        return f"{there} is above {here}"
    return f"{there} is a sibling of {here}" if here != there and {here, there} <= SIBLINGS else None


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


def test_imports_point_down():
    faults = [fault for path, source in sources_by_path(ALL_FILES).items() for fault in import_faults(path, source)]
    assert not faults, "\n".join(faults)


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
    assert sorted(filled) == ["mvt4g/__init__.py", "mvt4g/cli/__init__.py", "mvt4g/models/backbones/__init__.py"]
    root = ast.parse((ROOT / "mvt4g/__init__.py").read_text()).body
    assert [type(statement) for statement in root] == [ast.Expr, ast.Assign]


def test_every_folder_of_the_package_has_an_init_file():
    assert {file.parent for file in PACKAGE_FILES} == {
        file.parent for file in PACKAGE_FILES if file.name == "__init__.py"
    }


def test_every_package_imported_is_a_declared_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = requirement_names(sum((extras[name] for name in ("wan", "colmap", "cluster")), project["dependencies"]))
    everything = runtime | requirement_names(extras["dev"])
    package, whole = ([*sources_by_path(files).values()] for files in (PACKAGE_FILES, ALL_FILES))
    assert not undeclared_packages(package, runtime, own={"mvt4g"})
    assert not undeclared_packages(whole, everything, own={"mvt4g", "experiments", "scripts", "tests"})


@pytest.mark.parametrize(
    ("path", "statement", "fault"),
    [
        ("mvt4g/geometry/made_up.py", "import mvt4g.models.video_dit", "models is above geometry"),
        ("mvt4g/types.py", "from mvt4g.geometry.pose import invert_pose", "geometry is above types"),
        ("mvt4g/models/made_up.py", "from mvt4g import losses", "losses is a sibling of models"),
        ("mvt4g/metrics/made_up.py", "def late():\n    import mvt4g.data.loading", "data is a sibling of metrics"),
        ("mvt4g/systems/made_up.py", "from experiments import demo", "experiments is above systems"),
        ("mvt4g/losses/made_up.py", "from .track import TrackLoss", "relative import"),
        ("mvt4g/losses/made_up.py", "import lightning.pytorch as pl", "lightning belongs in"),
        ("mvt4g/data/kubric.py", "from pytorch_lightning import LightningDataModule", "lightning belongs in"),
        ("mvt4g/systems/made_up.py", "from jsonargparse import lazy_instance", "jsonargparse belongs in cli"),
        ("mvt4g/metrics/functional/made_up.py", "import torchmetrics", "torchmetrics belongs in"),
        ("mvt4g/geometry/made_up.py", "import open3d.core", "open3d belongs in"),
        ("mvt4g/geometry/made_up.py", "import mvt4g.attic.pose", "no floor has a room attic"),
        ("mvt4g/attic/made_up.py", "import mvt4g.types", "no floor has a room attic"),
    ],
)
def test_a_bad_import_is_caught(path, statement, fault):
    (found,) = import_faults(path, statement)
    assert fault in found


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("mvt4g/models/made_up.py", "from mvt4g.geometry.pose import invert_pose"),
        ("mvt4g/models/made_up.py", "from mvt4g.models.layers.mlp import MLP"),
        ("mvt4g/data/kubric_datamodule.py", "import lightning.pytorch as pl"),
        ("mvt4g/metrics/pck.py", "import torchmetrics"),
        ("mvt4g/cli/entry.py", "from mvt4g import __version__"),
        ("experiments/demo.py", "import open3d, mvt4g.cli"),
    ],
)
def test_a_good_import_passes(path, statement):
    assert import_faults(path, statement) == []


def test_oversize_is_caught():
    body = "    pass\n" * MAX_FUNCTION_LINES
    assert "long_one has 61 lines" in size_faults("made_up.py", f"def long_one():\n{body}")[0]
    assert "401 lines" in size_faults("made_up.py", "\n" * 401)[0]
    assert "9 arguments" in size_faults("made_up.py", "def __init__(self, a, b, c, d, e, f, g, h, *, i): ...")[0]
    assert size_faults("made_up.py", "def __init__(self, a, b, c, d, e, f, g, *, h): ...") == []


def test_an_undeclared_package_is_caught():
    sources = ["import os, numpy, cv2", "from PIL import Image"]
    assert undeclared_packages(sources, declared={"numpy", "pillow"}, own=set()) == {"cv2"}
