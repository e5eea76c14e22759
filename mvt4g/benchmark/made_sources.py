"""The source that a manifest says a video was made from: found where no sources are given, and compared."""

from functools import lru_cache
from pathlib import Path

from mvt4g.benchmark.aligned_video import NotScored
from mvt4g.benchmark.found_videos import FoundVideo
from mvt4g.benchmark.known_clips import KnownClip, Sources
from mvt4g.data.sources import FrameSource
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.formats.images import frame_paths
from mvt4g.types import InputError

_DAVIS_FRAMES = "JPEGImages"
_SHOWN = 16
"""Digits of a checksum that a message shows."""


def known_clip(video: FoundVideo, sources: Sources) -> KnownClip | None:
    """Return what is known of a clip.

    Where no sources are given, the manifest may say where the source is. It counts only if it still has the checksum
    that the manifest has of it: a folder may have been filled anew since, or hold pictures of other cameras too.
    """
    clip = sources.clip(video.clip, video.camera)
    made = (video.made or {}).get("source")
    if clip is not None or sources.place is not None or not isinstance(made, dict):
        return clip
    place = Path(str(made.get("path", "")))
    if not place.exists():
        return None
    clip = KnownClip(video.clip, (), _sequence(place) or place)
    return clip if _is_made_from(video, clip) else None


def check_made_from(video: FoundVideo, clip: KnownClip | None) -> None:
    """Refuse a source that is not the one of which the manifest has the checksum.

    Args:
        video: That was made.
        clip: What is known of its clip, by which it would be scored; None = nothing.

    Raises:
        NotScored: If its source has another checksum.
    """
    if clip is None or clip.reference is None or _is_made_from(video, clip):
        return
    got = f"got sha256 {_checksums(clip.reference)[0][:_SHOWN]}..."
    want = f"want {_wanted(video)[:_SHOWN]}..., the manifest's: the video was made from another source"
    raise NotScored("failed", f"{clip.reference.place}: {got}, {want}")


def _is_made_from(video: FoundVideo, clip: KnownClip) -> bool:
    """Say whether a clip's source is that of the manifest; true where one of them is not known."""
    wanted = _wanted(video)
    return not wanted or clip.reference is None or wanted in _checksums(clip.reference)


def _wanted(video: FoundVideo) -> str:
    """Return the checksum that the manifest has of a video's source; empty = none."""
    made = (video.made or {}).get("source")
    return str(made.get("sha256", "")) if isinstance(made, dict) else ""


def _checksums(source: FrameSource) -> list[str]:
    """Return the checksums that a manifest may have of a source.

    That of a DAVIS sequence is of frames and masks, that of a folder of frames is of the frames alone. A sequence is
    both, by whether it was given to ``benchmark generate`` as part of DAVIS or as a folder.
    """
    files = [source.files]
    if source.place.is_dir():
        files.append(tuple(frame_paths(source.place)))
        sequence = _sequence(source.place)
        if sequence is not None:
            files.append(sequence.files)
    found = []
    for paths in dict.fromkeys(files):
        states = []
        for path in paths:
            status = path.stat()
            states.append((path, status.st_size, status.st_mtime_ns))
        found.append(_checksum(tuple(states)))
    return found


def _sequence(place: Path) -> FrameSource | None:
    """Return the DAVIS sequence, which has masks, that a folder of frames is; None if it is none."""
    root = next((parent.parent for parent in place.parents if parent.name == _DAVIS_FRAMES), None)
    if root is None:
        return None
    try:
        found = _davis(root).videos.get(place.name)
    except InputError:  # not the tree that its name says
        return None
    # The list is of one resolution of the tree.
    if isinstance(found, FrameSource) and found.place.resolve() == place.resolve():
        return found
    return None


@lru_cache(maxsize=4)
def _davis(root: Path) -> Sources:
    """List a DAVIS tree, which every camera of a clip asks for, once."""
    return Sources.find(root)


@lru_cache(maxsize=256)
def _checksum(states: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the checksum of files, once for all cameras of a clip; ``states`` differ once a file has changed."""
    return sha256_of_all([path for path, _, _ in states])
