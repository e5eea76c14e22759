"""Files that pose and depth estimators left: of generated videos, of sources, of both together.

An option is ``LAYOUT:PATH``: what wrote the files (``formats.foreign.layouts``), and where they are. In the path
``{method}``, ``{clip}``, ``{camera}`` and ``{seed}`` stand for those of a video, and ``{name}`` for
``<clip>_<camera>[_s<seed>]``, as far as these are known.
"""

from dataclasses import dataclass
from pathlib import Path

from mvt4g.benchmark.found_videos import FoundVideo
from mvt4g.data.source_cameras import source_camera_files
from mvt4g.formats.foreign.layouts import LAYOUTS, read_reconstruction
from mvt4g.formats.foreign.reconstruction import Reconstruction
from mvt4g.types import InputError


@dataclass(frozen=True)
class EstimatedFiles:
    """Files of one estimator.

    Attributes:
        layout: What wrote them.
        path: With placeholders.
    """

    layout: str
    path: str

    @staticmethod
    def parse(option: str, text: str | None) -> "EstimatedFiles | None":
        """Understand an option; None = not given.

        Raises:
            InputError: Naming the option.
        """
        if text is None:
            return None
        layout, colon, path = text.partition(":")
        if not colon or layout not in LAYOUTS or "{" not in path:
            want = f"LAYOUT:PATH with {{clip}}, {{camera}} or {{name}} in it; layouts are {', '.join(LAYOUTS)}"
            raise InputError(f"{option}: got {text!r}, want {want}")
        return EstimatedFiles(layout, path)

    def place(self, method: str, video: FoundVideo) -> Path:
        """Return where those of a video are."""
        return filled_in(self.path, method, video)

    def files(self, place: Path) -> list[Path]:
        """Return the files at a place that are read, as far as they are there."""
        found = source_camera_files(place, self.layout)
        if self.layout == "vipe":
            found += [place.parent.parent / kind / f"{place.stem}.zip" for kind in ("depth", "mask")]
        elif self.layout == "vista4d":
            found += [*sorted((place.parent / "depths").glob("*.exr"))]
        elif self.layout == "cognvs":
            found.append(place / "megasam_depth.npy")
        elif self.layout == "depth_anything_3" and place.is_dir():
            found += [*sorted((place / "results_output").glob("frame_*.npz"))]
        return [path for path in found if path.is_file()]

    def read(self, path: Path, num_frames: int | None, maps: bool = False) -> Reconstruction:
        """Read the cameras, and perhaps depth, of a number of frames.

        Args:
            path: As ``place`` gives it.
            num_frames: Frames there must be; None = any.
            maps: Read depth too.

        Raises:
            InputError: As ``read_reconstruction``.
        """
        return read_reconstruction(self.layout, path, num_frames, maps)


def filled_in(path: str, method: str, video: FoundVideo) -> Path:
    """Return a path with what its placeholders stand for."""
    texts = {"method": method, "clip": video.clip, "camera": video.camera, "seed": video.seed, "name": video.name}
    for name, text in texts.items():
        path = path.replace(f"{{{name}}}", text)
    return Path(path)
