"""``mvt4g export-tracks``: what ``predict`` found, in the layouts of other programs."""

import sys
from pathlib import Path
from typing import Literal

from mvt4g.formats.exports.cotracker import write_cotracker
from mvt4g.formats.exports.tapvid import write_tapvid
from mvt4g.formats.track_files import read_tracks
from mvt4g.formats.video import read_video
from mvt4g.types import InputError

WRITERS = {"tapvid": write_tapvid, "cotracker": write_cotracker}


def export_tracks(folder: Path, format: Literal["tapvid", "cotracker"] = "tapvid", out: Path | None = None) -> int:
    """Write the tracks of one predicted clip, with its videos, for TAP-Vid's evaluation or CoTracker's training.

    Args:
        folder: ``<run>/predict/<clip>/<camera>-s<seed>``.
        format: "tapvid" = a pickle with an entry for each view; "cotracker" = a sequence folder for each view.
        out: File or folder to write; null = ``tapvid.pkl`` or ``cotracker/`` in the folder.

    Returns:
        The exit code 0.

    Raises:
        InputError: If the folder holds no tracks or not their videos, or the place cannot be written to.
    """
    content = read_tracks(folder / "tracks.npz")
    # Of two given videos nothing was generated: the target is the second of them.
    target = "target" if (folder / "target.mp4").is_file() else "generated"
    place = folder.resolve()
    videos = {}
    for name in ("reference", target):
        video, _ = read_video(folder / f"{name}.mp4")
        videos[f"{place.parent.name}_{place.name}_{name}"] = video
    out = out or folder / ("tapvid.pkl" if format == "tapvid" else "cotracker")
    if out.exists() and format == "tapvid":
        raise InputError(f"--out: got {out}, which is there already, want a file that is not")
    WRITERS[format](out, videos, content)
    sys.stdout.write(f"wrote {out}\n")
    return 0
