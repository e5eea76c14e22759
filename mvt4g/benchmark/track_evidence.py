"""Tracks of a tracker's files beside a generated video, and the cameras that they are held against.

``--tracks PATH`` names a file a video, ``.npz`` or ``.json`` as ``predict`` writes them (docs/predict.md): the same
points through the source, as it is framed for the output, and through the output, in pixels of ``image_size``. In the
path ``{method}``, ``{clip}``, ``{camera}``, ``{seed}`` and ``{name}`` stand for those of a video.

The cameras are those asked for, the first of these that is there:

1. both views' of the known clip, or of the manifest of ``mvt4g benchmark generate``;
2. those of ``cameras.json`` beside the file of tracks, as ``predict`` leaves it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from mvt4g.benchmark.aligned_video import AlignedVideo, cameras_of_file
from mvt4g.benchmark.estimated_files import filled_in
from mvt4g.benchmark.found_videos import FoundVideo
from mvt4g.formats.track_files import TrackFile, read_tracks
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW
from mvt4g.types import GeneratedVideos, InputError, ViewRecord

CAMERAS = "cameras.json"
VIEWS = 2


@dataclass(frozen=True)
class TrackFiles:
    """Files of a tracker.

    Attributes:
        path: With placeholders.
    """

    path: str

    @staticmethod
    def parse(text: str | None) -> "TrackFiles | None":
        """Understand the option; None = not given.

        Raises:
            InputError: If there is no placeholder, or another kind of file.
        """
        if text is None:
            return None
        if "{" not in text or Path(text).suffix not in (".npz", ".json"):
            want = "a path that ends with .npz or .json, with {clip}, {camera} or {name} in it"
            raise InputError(f"tracks: got {text!r}, want {want}")
        return TrackFiles(text)

    def place(self, method: str, video: FoundVideo) -> Path:
        """Return where those of a video are."""
        return filled_in(self.path, method, video)

    def files(self, place: Path) -> list[Path]:
        """Return the files that are read, as far as they are there."""
        return [path for path in (place, place.with_name(CAMERAS)) if path.is_file()]


def with_tracks(videos: GeneratedVideos, aligned: AlignedVideo, place: Path) -> tuple[GeneratedVideos, str]:
    """Return the videos with tracks and the cameras asked for, or as they were and why not.

    Args:
        videos: A batch of one.
        aligned: What is known of it.
        place: Of the file of tracks.
    """
    try:
        tracks = _tracks_of(place, aligned)
        videos = _with_cameras(videos, aligned, place.with_name(CAMERAS))
    except InputError as error:
        return videos, str(error)
    scored = list(aligned.frames.output)
    height, width = aligned.shape.size
    # Pixel centres are at i + 0.5: resizing is a pure scale.
    scale = tracks.tracks.new_tensor([width / tracks.image_size[1], height / tracks.image_size[0]])
    confidence = None if tracks.confidence is None else tracks.confidence[None, :, scored]
    known = replace(
        videos,
        tracks=(scale * tracks.tracks[:, scored])[None],
        visible=tracks.visible[None, :, scored],
        confidence=confidence,
    )
    return known, ""


def _tracks_of(place: Path, aligned: AlignedVideo) -> TrackFile:
    """Read tracks of all frames of the output.

    Raises:
        InputError: As ``read_tracks``, or if they are not of two views and so many frames.
    """
    tracks = read_tracks(place)
    views, frames = tracks.tracks.shape[:2]
    wanted = (VIEWS, aligned.shape.num_frames)
    if (views, frames) != wanted:
        want = f"{wanted[0]} of {wanted[1]}, as the video has"
        raise InputError(f"{place}: got tracks through {views} views of {frames} frames, want {want}")
    return tracks


def _with_cameras(videos: GeneratedVideos, aligned: AlignedVideo, file: Path) -> GeneratedVideos:
    """Return the videos with poses and intrinsics of both views.

    Raises:
        InputError: If nothing tells them.
    """
    if _is_whole(videos.target) and _is_whole(videos.reference):
        return videos
    if not file.is_file():
        want = f"those of the known clip or of a manifest, or {file}"
        raise InputError(f"tracks: got no cameras of both views with intrinsics, want {want}")
    views = {TARGET_VIEW: videos.target, REFERENCE_VIEW: videos.reference}
    views |= cameras_of_file(file, aligned.shape, aligned.frames.output, views)
    target, reference = views[TARGET_VIEW], views[REFERENCE_VIEW]
    if not (_is_whole(target) and _is_whole(reference)):
        raise InputError(f"{file}: got no poses and intrinsics of both views, want them")
    return replace(videos, target=target, reference=reference)


def _is_whole(view: ViewRecord) -> bool:
    return view.cam_from_world is not None and view.intrinsics is not None
