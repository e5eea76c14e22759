"""scene4d.npz: what is written is read, what a file says badly is none, what it lacks is named in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.scene4d import METRES, Scene4D, SceneTracks, SceneView, TrueTracks, read_scene4d, write_scene4d
from mvt4g.types import Cameras, InputError


def small_view(frames: int, height: int, width: int, seed: int) -> SceneView:
    generator = torch.Generator().manual_seed(seed)
    lens = torch.tensor([[8.0, 0, width / 2], [0, 8, height / 2], [0, 0, 1]])
    cameras = Cameras(torch.eye(4).expand(frames, 4, 4).clone(), lens.expand(frames, 3, 3).clone())
    cameras.cam_from_world[:, 0, 3] = float(seed)
    video = torch.randint(0, 256, (frames, height, width, 3), generator=generator, dtype=torch.uint8)
    return SceneView(video, 1 + torch.rand(frames, height, width, generator=generator), cameras)


def small_scene(frames: int = 3, generated_size: tuple[int, int] = (4, 6), points: int = 5) -> Scene4D:
    pixels = torch.rand(2, frames, points, 2) * 4
    seen = torch.rand(2, frames, points) > 0.3
    return Scene4D(
        reference=small_view(frames, 4, 6, 0),
        generated=small_view(frames, *generated_size, 1),
        times_s=torch.arange(frames) / 24,
        alignment=torch.tensor([[1.0, 0.0], [1.3, 0.1]]),
        alignment_residual=torch.tensor([torch.nan, 0.01]),
        unit=METRES,
        tracks=SceneTracks(pixels, torch.rand(2, frames, points, 3), seen, seen),
    )


def assert_same(got: object, want: object) -> None:
    for name, value in vars(want).items():
        other = getattr(got, name)
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(other, value, rtol=0, atol=0, equal_nan=True, msg=name)
        elif hasattr(value, "__dict__"):
            assert_same(other, value)
        else:
            assert other == value, name


def changed(path: Path, **arrays: np.ndarray | None) -> Path:
    """Write the file again with other arrays; None leaves one out."""
    content = {**np.load(path), **arrays}
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_scene4d(tmp_path / "scene4d.npz", small_scene())
    return tmp_path / "scene4d.npz"


def test_what_is_written_is_read(tmp_path):
    scene = small_scene()
    truth = TrueTracks(torch.rand(2, 3, 7, 2), torch.rand(2, 3, 7) > 0.5, torch.rand(3, 7, 3))
    sure = replace(
        scene.generated, confidence=torch.rand(3, 4, 6), true_cam_from_world=torch.eye(4).expand(3, 4, 4).clone()
    )
    for number, each in enumerate((scene, replace(scene, generated=sure, true_tracks=truth))):
        path = tmp_path / f"{number}.npz"
        write_scene4d(path, each)
        assert_same(read_scene4d(path), each)


@pytest.mark.parametrize("frames", [1, 200])
def test_any_number_of_frames_and_no_tracks(tmp_path, frames):
    scene = replace(small_scene(frames), tracks=None)
    write_scene4d(tmp_path / "scene4d.npz", scene)
    found = read_scene4d(tmp_path / "scene4d.npz")
    assert (found.num_frames, found.tracks) == (frames, None)


def test_views_of_two_sizes_and_tracks_of_no_point(tmp_path):
    scene = small_scene(generated_size=(8, 10), points=0)
    write_scene4d(tmp_path / "scene4d.npz", scene)
    found = read_scene4d(tmp_path / "scene4d.npz")
    assert [tuple(view.depth.shape) for view in found.views] == [(3, 4, 6), (3, 8, 10)]
    assert found.tracks is not None
    assert found.tracks.world.shape == (2, 3, 0, 3)


def test_depth_that_is_none_is_zero(tmp_path, file):
    depth = np.load(file)["generated_depth"]
    depth[0, 0, :3] = np.nan, np.inf, -1
    found = read_scene4d(changed(file, generated_depth=depth)).generated.depth
    assert found[0, 0, :3].tolist() == [0, 0, 0]
    assert found[0, 0, 3] == depth[0, 0, 3]
    scene = small_scene()
    scene.reference.depth[0] = torch.nan
    write_scene4d(tmp_path / "again.npz", scene)
    assert float(np.load(tmp_path / "again.npz")["reference_depth"][0].max()) == 0


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"generated_video": None}, "generated_video: missing"),
        ({"generated_depth": np.full((3, 4, 6), np.nan)}, "generated_depth: got no pixel with a depth"),
        ({"generated_depth": np.ones((2, 4, 6))}, "generated_depth: got shape"),
        ({"reference_depth": np.ones((3, 4, 5))}, "reference_depth: got shape"),
        ({"reference_video": np.zeros((3, 4, 6, 3), np.uint16)}, "reference_video: got uint16, want uint8"),
        ({"reference_video": np.zeros((3, 0, 6, 3), np.uint8)}, "want no empty axis"),
        ({"visible": None}, "want all or none of"),
        ({"tracks_world": np.zeros((2, 3, 4, 3))}, "tracks_world: got shape"),
        ({"times_s": np.array([0.0, 1.0, 1.0])}, "times_s: got"),
        ({"version": np.array(2)}, "version: got 2, want 1"),
        ({"unit": np.array("furlong")}, "unit: got 'furlong'"),
        ({"alignment": np.full((2, 2), np.nan)}, "alignment: got"),
        ({"reference_intrinsics": np.zeros((3, 3, 3))}, "focal length <= 0"),
        ({"reference_cam_from_world": np.full((3, 4, 4), np.nan)}, "reference_cam_from_world frame [0]"),
        ({"reference_confidence": np.zeros((3, 4, 7))}, "reference_confidence: got shape"),
        ({"reference_true_cam_from_world": np.zeros((3, 4, 4))}, "reference_true_cam_from_world frame [0]"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(file, arrays, said):
    with pytest.raises(InputError) as raised:
        read_scene4d(changed(file, **arrays))
    assert said in str(raised.value)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bad_scene_is_not_written(tmp_path):
    scene = small_scene()
    with pytest.raises(InputError, match="to write: times_s"):
        write_scene4d(tmp_path / "scene4d.npz", replace(scene, times_s=torch.zeros(3)))
    assert not list(tmp_path.iterdir())
