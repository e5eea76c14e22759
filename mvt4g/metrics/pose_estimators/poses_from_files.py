"""Poses that an outside program left in files, one file or folder per video."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mvt4g.formats.foreign.layouts import Layout, read_reconstruction
from mvt4g.metrics.pose_estimators.poses import PoseEstimate, PoseEvidence
from mvt4g.types import InputError

PoseLayout = Layout
NAME = "{name}"


@dataclass(frozen=True)
class PosesFromFiles:
    """Reads what another program found; its world is its own, and its scale is taken to be free.

    Args:
        path: Where a video's poses are, ``{name}`` standing for the video: ``vipe/pose/{name}.npz``,
            ``da3/{name}/exports/npz/results.npz``, ``colmap/{name}/sparse/0``, ``cameras/{name}.json``.
        layout: What wrote them.
        missing_is_failure: A path that is not there means that the program failed on this video, which then has no
            registered frame; else it is refused, since a misspelt path would look the same.

    Raises:
        InputError: If the path does not hold ``{name}``.
    """

    path: str
    layout: PoseLayout
    missing_is_failure: bool = False

    def __post_init__(self) -> None:
        """Check the path."""
        if NAME not in self.path:
            raise InputError(f"path: got {self.path!r}, want {NAME} in it, which stands for the video")

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        """Read the poses of the video ``evidence.name``.

        Raises:
            InputError: As the readers, naming the file.
        """
        path = Path(self.path.replace(NAME, evidence.need("name", self)))
        if self.missing_is_failure and not path.exists():
            nowhere = torch.full((evidence.num_frames, 4, 4), torch.nan)
            none = torch.zeros(evidence.num_frames, dtype=torch.bool)
            return PoseEstimate(nowhere, none, f"{path}: not there", scale_known=False)
        poses = read_reconstruction(self.layout, path, evidence.num_frames, frame_names=evidence.frame_names or None)
        missing = (~poses.registered).nonzero()[:, 0].tolist()
        reason = f"{path}: no pose of frames {', '.join(map(str, missing))}" if missing else None
        return PoseEstimate(poses.world_from_cam, poses.registered, reason, scale_known=False, notes=poses.notes)
