"""The files of a lifted scene."""

from pathlib import Path

from mvt4g.formats.exports.point_cloud import write_ply
from mvt4g.formats.scene4d import VIEWS, Scene4D, write_scene4d
from mvt4g.viz.scene_clouds import CloudFilter, frame_cloud
from mvt4g.viz.scene_page import write_scene_page

SCENE = "scene4d.npz"
PAGE = "scene.html"
CLOUDS = "clouds"


def write_scene_files(
    folder: Path, scene: Scene4D, title: str, clouds: CloudFilter | None = CloudFilter()
) -> list[str]:
    """Write ``scene4d.npz``, ``scene.html`` and ``clouds/<view>_<frame>.ply``; each appears whole or not at all.

    Args:
        folder: Where they go; made if it is not there.
        scene: The scene.
        title: What the page is called.
        clouds: Which pixels become points; None = no clouds are written.

    Returns:
        What was written, for messages.

    Raises:
        InputError: If the scene is none, or the place cannot be written to.
    """
    write_scene4d(folder / SCENE, scene)
    page = write_scene_page(scene, folder / PAGE, title)
    written = [SCENE, str(page).removeprefix(f"{folder}/")]
    if clouds is not None:
        for name, view in zip(VIEWS, scene.views, strict=True):
            for frame in range(scene.num_frames):
                cloud = frame_cloud(view, frame, clouds)
                write_ply(folder / CLOUDS / f"{name}_{frame:05d}.ply", cloud.points, cloud.colours)
        written.append(f"{CLOUDS}/ ({2 * scene.num_frames} files)")
    return written
