"""What Depth Anything 3, ViPE and MegaSaM leave of a video, laid out as they do it."""

import io
import zipfile

import numpy as np
from PIL import Image

from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from tests.formats.layouts.exr import exr

COUNT, HEIGHT, WIDTH = 5, 6, 8
PATH = preset_trajectory("arc_left", COUNT).double()
LENS = np.array([[10.0, 11.0, 4.0, 3.0]]).repeat(COUNT, 0)
K = np.array([[10.0, 0.0, 4.0], [0.0, 11.0, 3.0], [0.0, 0.0, 1.0]])
DEPTH = (1 + np.arange(COUNT * HEIGHT * WIDTH).reshape(COUNT, HEIGHT, WIDTH) / 16).astype(np.float32)
"""Exact in half floats."""
IDS = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
IDS[:, 0], IDS[:, 3:, :2], IDS[:, 5, 5] = 3, 1, 2
PHRASES = {1: "person", 2: "car", 3: "sky"}


def put(archive, name, content):
    archive.writestr(name, content)


def png(ids):
    buffer = io.BytesIO()
    Image.fromarray(ids).save(buffer, "PNG")
    return buffer.getvalue()


def write_vipe(root, name="clip", frames=range(COUNT), maps=True, **changes):
    """Write ViPE 1.1's folder; ``changes`` replace arrays of the pose file, None leaves one out."""
    inds = np.array(list(frames))
    for folder in ("pose", "intrinsics", "depth", "mask"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    data = {"data": PATH.numpy()[inds].astype(np.float32), "inds": inds} | changes
    np.savez(root / "pose" / f"{name}.npz", **{key: array for key, array in data.items() if array is not None})
    np.savez(root / "intrinsics" / f"{name}.npz", data=LENS[inds].astype(np.float32), inds=inds)
    (root / "intrinsics" / f"{name}_camera.txt").write_text("".join(f"{frame}: PINHOLE\n" for frame in inds))
    if maps:
        with zipfile.ZipFile(root / "depth" / f"{name}.zip", "w") as archive:
            for frame in inds:
                put(archive, f"{frame:05d}.exr", exr({"Z": DEPTH[frame].astype(np.float16)}))
        with zipfile.ZipFile(root / "mask" / f"{name}.zip", "w") as archive:
            for frame in inds:
                put(archive, f"{frame:05d}.png", png(IDS[frame]))
        (root / "mask" / f"{name}.txt").write_text("".join(f"{id_}: {name}\n" for id_, name in PHRASES.items()))
    return root / "pose" / f"{name}.npz"


def write_depth_anything(folder, kind="npz", rows=3, **changes):
    """Write ``exports/<kind>/results.npz``."""
    path = folder / "exports" / kind / "results.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "image": np.zeros((COUNT, HEIGHT, WIDTH, 3), np.uint8) if kind == "npz" else None,
        "depth": np.round(DEPTH, 6),
        "conf": np.ones((COUNT, HEIGHT, WIDTH), np.float32),
        "extrinsics": invert_pose(PATH).numpy()[:, :rows].astype(np.float32),
        "intrinsics": K[None].repeat(COUNT, 0).astype(np.float32),
    } | changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def write_streaming(folder, frames=range(COUNT)):
    """Write DA3-Streaming's folder, with a file of maps for these frames."""
    (folder / "results_output").mkdir(parents=True, exist_ok=True)
    lines = [" ".join(f"{number:.9f}" for number in pose.flatten().tolist()) for pose in PATH]
    (folder / "camera_poses.txt").write_text("\n".join(lines) + "\n")
    (folder / "intrinsic.txt").write_text("".join(" ".join(map(str, row)) + "\n" for row in LENS.tolist()))
    for frame in frames:
        path = folder / "results_output" / f"frame_{frame}.npz"
        np.savez(path, depth=DEPTH[frame], conf=np.zeros((HEIGHT, WIDTH)), intrinsics=K)
    return folder


def write_megasam(folder, **changes):
    """Write ``<name>_sgd_cvd_hr.npz``."""
    arrays = {
        "images": np.zeros((COUNT, HEIGHT, WIDTH, 3), np.uint8),
        "depths": DEPTH,
        "intrinsic": K,
        "cam_c2w": PATH.numpy().astype(np.float32),
    } | changes
    path = folder / "clip_sgd_cvd_hr.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def write_vista4d(folder, maps=True, **changes):
    """Write ``recon_and_seg/clip``; ``changes`` replace arrays of the cameras, None leaves one out."""
    place = folder / "recon_and_seg" / "clip"
    for name in ("depths", "dynamic_mask") if maps else ():
        (place / name).mkdir(parents=True)
    place.mkdir(parents=True, exist_ok=True)
    arrays = {"cam_c2w": PATH.numpy(), "intrinsics": LENS} | changes
    np.savez(place / "cameras.npz", **{key: array for key, array in arrays.items() if array is not None})
    for frame in range(COUNT) if maps else ():
        (place / "depths" / f"{frame:05d}.exr").write_bytes(exr({"Y": DEPTH[frame].astype(np.float16)}))
        (place / "dynamic_mask" / f"{frame:05d}.png").write_bytes(png(np.uint8(255) * (IDS[frame] == 1)))
    return place / "cameras.npz"


def write_cognvs(folder, **changes):
    """Write ``clip/cam_info``; ``changes`` replace files by name, None leaves one out."""
    place = folder / "clip" / "cam_info"
    place.mkdir(parents=True, exist_ok=True)
    arrays = {"megasam_c2ws": PATH.numpy(), "megasam_intrinsics": K, "megasam_depth": DEPTH} | changes
    for name, array in arrays.items():
        if array is not None:
            np.save(place / f"{name}.npy", array)
    return place
