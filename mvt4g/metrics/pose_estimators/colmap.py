"""Poses by structure from motion: COLMAP's SIFT and global mapper (GLOMAP), through pycolmap (extra ``colmap``).

Every step runs on the CPU with one thread and a fixed seed.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.checks import unit_video
from mvt4g.metrics.pose_estimators.poses import PoseEstimate, PoseEvidence, estimate_from_frames
from mvt4g.ranges import Count, Positive, Seed, check_ranges
from mvt4g.types import InputError

Matching = Literal["exhaustive", "sequential"]
LEAST_MODEL = 3
"""Images of the smallest reconstruction that counts; the mapper needs points seen in three."""


@dataclass(frozen=True)
class ColmapPoses:
    """Reconstructs the generated video itself, intrinsics given and fixed; scale and world are free.

    Needs no depth and no reference. What moves in the scene is left to RANSAC: a video of mostly moving things, of
    little texture or without parallax has no reconstruction, and the frames outside the largest one have no pose.

    Args:
        matching: "exhaustive" matches all pairs of frames; "sequential" each with the ``overlap`` after it.
        overlap: Of "sequential": how many frames each is matched with.
        seed: Of every random step.
        max_reprojection_px: A reconstruction of a larger mean reprojection error counts as failed.
    """

    matching: Matching = "exhaustive"
    overlap: Count = 10
    seed: Seed = 0
    max_reprojection_px: Positive = 2.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "colmap")

    def __call__(self, evidence: PoseEvidence) -> PoseEstimate:
        """Reconstruct one video.

        Raises:
            InputError: If pycolmap is not installed, or there is no video or no intrinsics.
        """
        pycolmap = _pycolmap()
        video = unit_video("evidence.video", evidence.need("video", self, "t 3 h w"))
        intrinsics = evidence.need("intrinsics", self, "t 3 3")
        with TemporaryDirectory(prefix="mvt4g_colmap_") as folder, _quiet(pycolmap):
            names = _write_frames(Path(folder) / "frames", video)
            model = self._reconstruct(pycolmap, Path(folder), names, intrinsics)
            return self._estimate(model, names)

    def _reconstruct(
        self, pycolmap: ModuleType, folder: Path, names: list[str], intrinsics: Float[Tensor, "t 3 3"]
    ) -> Any | None:
        """Return the largest reconstruction, or None."""
        database = folder / "database.db"
        frames = folder / "frames"
        pycolmap.set_random_seed(self.seed)
        extraction = pycolmap.FeatureExtractionOptions(num_threads=1, use_gpu=False)
        lenses = [_pinhole_parameters(matrix) for matrix in intrinsics]
        # Frames in a row with one lens share a camera: COLMAP is given few cameras where the zoom stands still.
        for lens, group in itertools.groupby(zip(lenses, names, strict=True), key=lambda pair: pair[0]):
            pycolmap.extract_features(
                database,
                frames,
                [name for _, name in group],
                camera_mode=pycolmap.CameraMode.SINGLE,
                reader_options=pycolmap.ImageReaderOptions(camera_model="PINHOLE", camera_params=lens),
                extraction_options=extraction,
                device=pycolmap.Device.cpu,
            )
        self._match(pycolmap, database)
        options = _mapping_options(pycolmap, self.seed)
        models = pycolmap.global_mapping(database, frames, folder / "models", options)
        return max(models.values(), key=lambda model: model.num_reg_images(), default=None)

    def _match(self, pycolmap: ModuleType, database: Path) -> None:
        options = {
            "matching_options": pycolmap.FeatureMatchingOptions(num_threads=1, use_gpu=False),
            "verification_options": pycolmap.TwoViewGeometryOptions(ransac={"random_seed": self.seed}),
            "device": pycolmap.Device.cpu,
        }
        if self.matching == "exhaustive":
            pycolmap.match_exhaustive(database, **options)
        else:
            pairing = pycolmap.SequentialPairingOptions(overlap=self.overlap, num_threads=1)
            pycolmap.match_sequential(database, pairing_options=pairing, **options)

    def _estimate(self, model: Any | None, names: list[str]) -> PoseEstimate:
        cam_from_world = torch.eye(4, dtype=torch.float64).repeat(len(names), 1, 1)
        points = torch.full((len(names),), torch.nan)
        reasons: list[str | None] = ["COLMAP found no reconstruction"] * len(names)
        if model is not None and model.num_reg_images() >= LEAST_MODEL:
            error = model.compute_mean_reprojection_error()
            by_name = {image.name: image for image in model.images.values() if image.has_pose}
            for frame, name in enumerate(names):
                image = by_name.get(name)
                if image is None:
                    reasons[frame] = f"not among the {len(by_name)} registered images"
                    continue
                cam_from_world[frame, :3] = torch.from_numpy(image.cam_from_world().matrix())
                points[frame] = image.num_points3D
                if error > self.max_reprojection_px:
                    reasons[frame] = f"reprojection error {error:.2g} px"
                else:
                    reasons[frame] = None
        return estimate_from_frames(invert_pose(cam_from_world), reasons, {"inliers": points}, scale_known=False)


def _pycolmap() -> ModuleType:
    try:
        import pycolmap  # an extra: only who asks for these poses needs it
    except ModuleNotFoundError as error:
        raise InputError("ColmapPoses: got no pycolmap, want the extra mvt4g[colmap] installed") from error
    return pycolmap


@contextmanager
def _quiet(pycolmap: ModuleType) -> Iterator[None]:
    """Keep COLMAP's log off stderr for the length of a block."""
    before = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = before


def _mapping_options(pycolmap: ModuleType, seed: int) -> Any:
    options = pycolmap.GlobalPipelineOptions(num_threads=1, random_seed=seed)
    options.mapper.num_threads = 1
    options.mapper.random_seed = seed
    adjustment = options.mapper.bundle_adjustment
    # Intrinsics are given: refining them would trade focal length against depth.
    adjustment.refine_focal_length = False
    adjustment.refine_principal_point = False
    adjustment.refine_extra_params = False
    adjustment.ceres.use_gpu = False
    options.mapper.global_positioning.use_gpu = False
    return options


def _write_frames(folder: Path, video: Float[Tensor, "t 3 h w"]) -> list[str]:
    folder.mkdir()
    names = [f"{frame:06d}.png" for frame in range(len(video))]
    levels = (video.clamp(0, 1) * 255).round().byte().cpu().numpy()
    pictures = rearrange(levels, "t c h w -> t h w c")
    for name, picture in zip(names, pictures, strict=True):
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / name)
    return names


def _pinhole_parameters(intrinsics: Float[Tensor, "3 3"]) -> str:
    """Return "fx,fy,cx,cy"; COLMAP's pixel centres lie at i + 0.5 too."""
    (fx, skew, cx), (_, fy, cy), _ = intrinsics.tolist()
    if skew:
        raise InputError(f"evidence.intrinsics: got skew {skew:g}, want 0 for COLMAP's PINHOLE")
    return f"{fx!r},{fy!r},{cx!r},{cy!r}"
