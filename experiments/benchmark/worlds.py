"""Scenes of the synthetic benchmark: what is drawn, and how it lies on disk for ``mvt4g benchmark score --sources``.

    <folder>/sources/<clip>/{reference.mkv, cameras.json, depth.npz, dynamic.npz}
    <folder>/sources/<clip>/cam01/{target.mkv, cameras.json, depth.npz, dynamic.npz}

A clip is called by recipe, seed and index, as ``movi_e-s0-1``. Sources are lossless.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mvt4g.data.kubric import FIRST_INDEX
from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.npz import write_arrays
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_archive_video
from mvt4g.synthetic.camera_specs import CameraSpec, RecamCameras
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.synthetic.object_specs import DroppedObjects
from mvt4g.synthetic.recipes import movi_e, parallax_nano, recam
from mvt4g.types import REFERENCE, TARGET, MultiViewClip

CAMERA = "cam01"
SEEDS = (0, 1, 2)
VIEWS = ("reference", "target")


@dataclass(frozen=True)
class World:
    """One benchmark: scenes of one size.

    Attributes:
        name: Of its folder.
        recipes: By the name that clips begin with.
        clips: Of each recipe and seed.
        stride: Every how many pixels cameras are found by: at 256 px all of them would take ten seconds a video.
    """

    name: str
    recipes: dict[str, SceneSpec]
    clips: int
    stride: int = 1

    def draw(self) -> Iterator[tuple[str, MultiViewClip]]:
        """Yield every clip with its name, two views each."""
        for recipe, scene in self.recipes.items():
            for seed in SEEDS:
                for index in range(self.clips):
                    # Training clips of the arms have the same recipe and seed 0: only the test split is unseen.
                    clip = generate_clip(scene, seed, FIRST_INDEX["test"] + index)
                    yield f"{recipe}-s{seed}-{index}", clip.select_views([REFERENCE, TARGET])


def _small(scene: SceneSpec, side: int) -> SceneSpec:
    return replace(scene, num_frames=5, image_size=(side, side), num_views=2, fps=6.0)


def movi_e_world(side: int) -> SceneSpec:
    """Return ``movi_e`` as the base's mixture has it (experiments/bases): MOVi's own views hardly overlap."""
    cameras = CameraSpec(
        radius=(7.0, 10.0), elevation=(15.0, 50.0), separation=(10.0, 40.0), travel=(0.0, 3.0), look_at_radius=1.0,
        fov=(45.0, 55.0),
    )  # fmt: skip
    return replace(_small(movi_e(), side), objects=DroppedObjects(static=(4, 10), dynamic=(1, 3)), cameras=cameras)


def recam_world(side: int) -> SceneSpec:
    """Return ``recam`` as the base's mixture has it, in 5 frames."""
    cameras = RecamCameras(separation=40.0, lenses=(0.9, 1.1, 1.4))
    return replace(_small(recam(), side), cameras=cameras)


WORLDS = {
    "nano": World("nano", {"parallax": replace(parallax_nano(), num_views=2)}, clips=4),
    "tiny": World("tiny", {"movi_e": movi_e_world(64), "recam": recam_world(64)}, clips=2),
    "256": World("256", {"movi_e": movi_e_world(256), "recam": recam_world(256)}, clips=1, stride=4),
}
"""``nano`` is the world in which the arms of experiments/steps_to_quality were trained."""


def frame_rate(clip: MultiViewClip) -> float:
    """Return the frames a second of a generated clip."""
    assert isinstance(clip.fps, float | int)
    return clip.fps


def write_sources(folder: Path, name: str, clip: MultiViewClip) -> None:
    """Write what is known of a clip; a folder that is there is whole."""
    if (folder / name).exists():
        return
    assert clip.depth is not None
    assert clip.dynamic is not None
    size = (clip.video.shape[-2], clip.video.shape[-1])
    with appearing_folder(folder / name) as temporary:
        for view, place in ((REFERENCE, temporary), (TARGET, temporary / CAMERA)):
            place.mkdir(exist_ok=True)
            write_archive_video(place / f"{VIEWS[view]}.mkv", clip.video[view], frame_rate(clip))
            write_arrays(place / "depth.npz", {VIEWS[view]: clip.depth[view].float().numpy()})
            write_arrays(place / "dynamic.npz", {VIEWS[view]: clip.dynamic[view].numpy()})
        write_trajectory(temporary / CAMERA / "cameras.json", clip.cameras, size)
