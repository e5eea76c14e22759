"""``mvt4g lift``: a reference and a generated video with depth become one scene, to look at."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.generated_folder import generated_folders
from mvt4g.inference.lifting.depth_choice import DepthKind, DepthSpec, choose_depth
from mvt4g.inference.lifting.lift_input import PairFiles, read_lift_input
from mvt4g.inference.lifting.scene import LiftSpec, lift_scene
from mvt4g.inference.lifting.scene_files import PAGE, write_scene_files
from mvt4g.types import InputError
from mvt4g.viz.scene_clouds import CloudFilter
from mvt4g.viz.scene_page import write_gallery

EXIT_FAILED = 2
GALLERY = "gallery.html"


def lift(
    path: Path,
    out: Path | None = None,
    depth: DepthKind | None = None,
    depth_from: DepthSpec = DepthSpec(),
    pair: PairFiles = PairFiles(),
    scene: LiftSpec = LiftSpec(),
    clouds: CloudFilter | None = CloudFilter(),
) -> int:
    """Lift a reference and a generated video into one scene: scene4d.npz, scene.html and a cloud a view and frame.

    Args:
        path: A folder that predict wrote (or a folder of such), a clip of two views, or a generated video.
        out: Folder to write, which must not be there; of several videos a folder of such, with a gallery.
        depth: "files" of another program, "true" depth that lies with the videos, a "plane" for a quick look, or a
            "model" of transformers; null = what ``depth_from`` names, else the depth that lies with the videos.
        depth_from: Where the depth lies.
        pair: What belongs to a generated video that lies alone.
        scene: How depth becomes a scene.
        clouds: Which pixels become points of ``clouds/<view>_<frame>.ply``; null writes no clouds.

    Returns:
        The exit code: 0, or 2 if some folders of several failed.

    Raises:
        InputError: If a view, its depth or its cameras are missing or do not fit, or ``out`` is there or cannot be
            written.
    """
    if out is None:
        raise InputError("--out: missing, want the folder to write")
    options = _Options(depth, depth_from, pair, scene, clouds)
    folders = _several(path, pair)
    if folders is None:
        _lift_one(path, out, options)
        return 0
    if depth_from.joint is not None or depth_from.reference is not None:
        raise InputError(f"--depth_from: got files, and {path} holds {len(folders)} videos, want the path of one")
    names = [folder.relative_to(path) for folder in folders]
    return _lift_several(path, out, names, options)


@dataclass(frozen=True)
class _Options:
    depth: DepthKind | None
    depth_from: DepthSpec
    pair: PairFiles
    scene: LiftSpec
    clouds: CloudFilter | None


def _several(path: Path, pair: PairFiles) -> list[Path] | None:
    """Return the folders of generated videos in a folder that is none itself; None where there are none."""
    if pair.reference is not None or not path.is_dir():
        return None
    names = ("generated.mp4", "generated", "reference.mp4", "reference", "target.mp4")
    if any((path / name).exists() for name in names):
        return None
    try:
        return generated_folders(path)
    except InputError:
        return None


def _lift_several(path: Path, out: Path, names: Sequence[Path], options: _Options) -> int:
    """Lift folder after folder; a bad one does not stop the others. A gallery shows those that were lifted."""
    pages = []
    for name in names:
        try:
            _lift_one(path / name, out / name, options)
            pages.append(out / name / PAGE)
        except InputError as error:
            sys.stderr.write(f"failed {name}: {error}\n")
    if pages:
        sys.stdout.write(f"wrote {write_gallery(pages, out / GALLERY, out.resolve().name)}\n")
    failed = len(names) - len(pages)
    sys.stdout.write(f"{len(pages)} lifted, {failed} failed\n")
    return EXIT_FAILED if failed else 0


def _lift_one(path: Path, out: Path, options: _Options) -> None:
    if out.exists():  # said before anything is read
        raise InputError(f"--out: got {out}, which is there already, want a folder that is not")
    given = read_lift_input(path, options.pair)
    lifted = lift_scene(given, choose_depth(given, options.depth, options.depth_from), options.scene)
    with appearing_folder(out) as folder:
        written = write_scene_files(folder, lifted.scene, out.resolve().name, options.clouds)
    for sentence in lifted.sentences:
        sys.stdout.write(f"{sentence}\n")
    sys.stdout.write(f"wrote {out}: {', '.join(written)}\n")
