"""What is known of the clips that videos were generated from: the sources, and where there is one, the truth.

``--sources`` takes

- a DAVIS root: its sequences, whose masks say what moves;
- anything else that ``--data.init_args.video`` takes: a folder of videos or of folders of frames, a pattern, a list;
- a folder of clip folders, of which every file may be missing:

      <clip>/reference.mp4     the source; like the other videos also a folder of frames of that name
      <clip>/cameras.json      its cameras (formats.trajectory_json), one pose a frame
      <clip>/depth.npz         arrays reference, target (t h w): z-depth, as the view's own video
      <clip>/dynamic.npz       likewise what moves, 0 = static
      <clip>/<camera>/         target.mp4, and cameras.json, depth.npz, dynamic.npz, mask.npz of that camera

What is true of one camera alone may stand in ``<clip>/<camera>/`` or in ``<clip>_<camera>/``; it is looked for there
first, array by array and view by view. Everything is at the source's size and has all of its frames: a method's frames
and crop are taken of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.data.sources import DAVIS_FPS, FolderSource, FrameSource
from mvt4g.data.video_places import find_videos, video_name
from mvt4g.data.video_source import open_video
from mvt4g.formats.npz import read_array_headers, read_arrays
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.types import InputError

_VIDEO_NAMES = {REFERENCE_VIEW: ("reference.mp4", "reference.mkv", "reference"),
                TARGET_VIEW: ("target.mp4", "target.mkv", "target")}  # fmt: skip
_FILES = ("cameras.json", "depth.npz", "dynamic.npz", "mask.npz")


@dataclass(frozen=True)
class KnownClip:
    """What is known of one clip, seen from one camera.

    Attributes:
        name: Of the clip.
        places: Folders that are looked into, the most telling one first.
        video: The source where it is no file of these folders.
    """

    name: str
    places: tuple[Path, ...] = ()
    video: FrameSource | Path | None = None

    @cached_property
    def reference(self) -> FrameSource | None:
        """The source; None = not known.

        Raises:
            InputError: If it cannot be opened.
        """
        if isinstance(self.video, FrameSource):
            return self.video
        return open_video(self.video) if self.video is not None else self._view(REFERENCE_VIEW)

    @cached_property
    def target(self) -> FrameSource | None:
        """What a generated video should be; None = not known.

        Raises:
            InputError: If it cannot be opened, or has another number of frames than the source.
        """
        found = self._view(TARGET_VIEW)
        source = self.reference
        if found is not None and source is not None and found.num_frames != source.num_frames:
            want = f"{source.num_frames} as {source.place} has"
            raise InputError(f"{found.place}: got {found.num_frames} frames, want {want}")
        return found

    @cached_property
    def num_frames(self) -> int | None:
        """Frames of the source, or else of the true target view; None = neither is known."""
        for source in (self.reference, self.target):
            if source is not None:
                return source.num_frames
        return None

    @cached_property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of both views; None = neither is known."""
        for source in (self.reference, self.target):
            if source is not None:
                first = next(iter(source.frames([0])))
                return int(first.shape[-2]), int(first.shape[-1])
        return None

    def cameras(self) -> dict[str, tuple[Trajectory, str]]:
        """Return the path of each view that is known, with its file.

        Raises:
            InputError: If a file is broken, or has another number of poses than the source has frames.
        """
        found: dict[str, tuple[Trajectory, str]] = {}
        for path in self._files("cameras.json"):
            for view, trajectory in read_views(path).items():
                path_of_view = trajectory.of_length(self.num_frames)
                num_poses = len(path_of_view.world_from_cam)
                if self.num_frames is not None and num_poses != self.num_frames:
                    want = f"{self.num_frames}, one a frame, or 1"
                    raise InputError(f"{path}: {view}: got {num_poses} poses, want {want}")
                found.setdefault(view, (path_of_view, str(path)))
        return found

    def maps(self, file: str, view: str) -> Shaped[Tensor, "t h w"] | None:
        """Return an array of every frame; None = not known.

        Args:
            file: "depth.npz", "dynamic.npz" or "mask.npz".
            view: "reference" or "target".

        Raises:
            InputError: If a file is broken, or of another size or length than the source.
        """
        for path in self._files(file):
            if view not in read_array_headers(path):
                continue
            array = read_arrays(path, (view,))[view]
            if self.num_frames is not None and array.shape != (self.num_frames, *(self.image_size or ())):
                want = f"({self.num_frames}, {', '.join(map(str, self.image_size or ()))})"
                raise InputError(f"{path}: {view}: got shape {array.shape}, want {want} as the source")
            return torch.from_numpy(array)
        return None

    def files(self) -> list[Path]:
        """Return every file that this is read from."""
        found = [path for name in _FILES for path in self._files(name)]
        for source in (self.reference, self.target):
            if source is not None:
                found += source.files
        return found

    def _files(self, name: str) -> list[Path]:
        return [place / name for place in self.places if (place / name).is_file()]

    def _view(self, view: str) -> FrameSource | None:
        for place in self.places:
            for name in _VIDEO_NAMES[view]:
                if (place / name).exists():
                    return open_video(place / name)
        return None


@dataclass(frozen=True)
class Sources:
    """The clips that are known.

    Attributes:
        place: Where they were looked for; None = nowhere.
        videos: Sources by the clip's name.
        folders: Folders of clips and of pairs of clip and camera, by name.
    """

    place: Path | None = None
    videos: Mapping[str, FrameSource | Path] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)

    @staticmethod
    def find(place: Path | None) -> "Sources":
        """Find the clips.

        Raises:
            InputError: If there is none, or the place is not there.
        """
        if place is None:
            return Sources()
        if not place.exists() and not any(sign in str(place) for sign in "*?["):
            raise InputError(f"sources: got {place}, which is not there, want a DAVIS root, videos or clip folders")
        if (place / "JPEGImages").is_dir():
            listed = list_sequences(place)
            sequences = {
                sequence.name: FolderSource(sequence.name, sequence.frames, sequence.masks, DAVIS_FPS)
                for sequence in listed
            }
            return Sources(place, sequences)
        folders = _clip_folders(place)
        if folders:
            return Sources(place, {}, folders)
        return Sources(place, {video_name(path): path for path in find_videos(place)})

    def clip(self, name: str, camera: str) -> KnownClip | None:
        """Return what is known of a clip from a camera; None if nothing is.

        Args:
            name: Of the clip.
            camera: Empty = not known.
        """
        if name in self.videos:
            return KnownClip(name, (), self.videos[name])
        whole = self.folders.get(name)
        pair = self.folders.get(f"{name}_{camera}") if camera else None
        inner = whole / camera if whole is not None and camera else None
        places = tuple(place for place in (inner, pair, whole) if place is not None and place.is_dir())
        return KnownClip(name, places) if places else None


def _clip_folders(place: Path) -> dict[str, Path]:
    """Return the folders that hold a file of a clip, or a folder that does; all or none of the place's folders."""
    if not place.is_dir():
        return {}
    folders = [path for path in sorted(place.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return {path.name: path for path in folders if _is_clip(path) or any(_is_clip(inner) for inner in _inner(path))}


def _inner(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def _is_clip(folder: Path) -> bool:
    names = (*_FILES, *(name for names in _VIDEO_NAMES.values() for name in names))
    return any((folder / name).exists() for name in names)
