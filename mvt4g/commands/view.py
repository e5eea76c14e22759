"""``mvt4g view``: a scene in viser, looked at in a browser."""

import sys
from pathlib import Path

from mvt4g.formats.scene4d import read_scene4d
from mvt4g.inference.lifting.scene_files import SCENE
from mvt4g.ranges import Port
from mvt4g.types import InputError
from mvt4g.viz.live_viewer import LiveViewer, ViewerSpec, start_server, stop_server

LOCAL = ("localhost", "127.0.0.1", "::1")


def view(scene: Path, host: str = "localhost", port: Port = 8080, show: ViewerSpec = ViewerSpec()) -> int:
    """Show a scene in a browser until Ctrl-C.

    Args:
        scene: A scene4d.npz, or the folder that holds it.
        host: Address to listen at; localhost is reached from this machine alone, 0.0.0.0 from everywhere.
        port: To listen at; if it is taken, the next one that is free.
        show: What is shown.

    Returns:
        Nothing: it ends by Ctrl-C, with exit code 130.

    Raises:
        InputError: If there is no scene, viser is not installed, or nothing can listen there.
    """
    path = scene / SCENE if scene.is_dir() else scene
    if not path.exists():
        raise InputError(f"{path}: no such file, want a {SCENE} that mvt4g lift wrote")
    content = read_scene4d(path)
    server = start_server(host, port)
    try:
        viewer = LiveViewer(content, server, show)
        if host not in LOCAL:
            sys.stdout.write(f"anyone who reaches {host} may look; --host localhost lets nobody from elsewhere\n")
        sys.stdout.write(f"{path}: http://{host}:{server.get_port()} (Ctrl-C ends)\n")
        sys.stdout.flush()
        while True:
            viewer.play(viewer.seconds_a_frame)
    finally:
        stop_server(server)
