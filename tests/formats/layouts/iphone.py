"""A clip as a scene of DyCheck's iPhone set, in plain NumPy."""

import json

import numpy as np
from PIL import Image


def write_iphone(scene, clip, size="2x", drop=(), world_from_cam=False, splits=True):
    """Pictures are of half the size ("2x") that the cameras are about; only camera 0 has depth.

    ``drop``: ids without a picture. ``world_from_cam``: turn orientations the wrong way. ``splits``: write the files of
    splits, and masks of co-visibility of the split "val" where the clip has some.
    """
    views, frames, _, height, width = clip.video.shape
    factor = 2 if size == "2x" else 1
    for folder in ("camera", f"rgb/{size}", f"depth/{size}"):
        (scene / folder).mkdir(parents=True)
    (scene / "extra.json").write_text(json.dumps({"fps": float(clip.fps), "factor": 2}))
    names = {"train": [], "val": []}
    for view, frame in np.ndindex(views, frames):
        name = f"{view}_{frame:05d}"
        if name in drop:
            continue
        pose = clip.cameras.cam_from_world[view, frame].double().numpy()
        k = clip.cameras.intrinsics[view, frame].double().numpy()
        rotation = pose[:3, :3]
        content = {
            "orientation": (rotation.T if world_from_cam else rotation).tolist(),
            "position": np.linalg.solve(rotation, -pose[:3, 3]).tolist(),
            "focal_length": k[0, 0] * factor,
            "pixel_aspect_ratio": k[1, 1] / k[0, 0],
            "principal_point": (k[:2, 2] * factor).tolist(),
            "image_size": [width * factor, height * factor],
            "skew": 0.0,
            "radial_distortion": [0.0] * 3,
            "tangential_distortion": [0.0] * 2,
        }
        (scene / "camera" / f"{name}.json").write_text(json.dumps(content))
        colour = np.round(clip.video[view, frame].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        Image.fromarray(colour).convert("RGBA").save(scene / "rgb" / size / f"{name}.png")
        names["val" if view else "train"].append(name)
        if view and clip.covisible is not None:
            folder = scene / "covisible" / size / "val"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(clip.covisible[view, frame].numpy().astype(np.uint8) * 255).save(folder / f"{name}.png")
        if view == 0:
            np.save(scene / "depth" / size / f"{name}.npy", clip.depth[view, frame].numpy()[..., None])
    for split, ids in names.items() if splits else ():
        (scene / "splits").mkdir(exist_ok=True)
        content = {
            "frame_names": ids,
            "camera_ids": [int(name.split("_")[0]) for name in ids],
            "time_ids": [int(name.split("_")[1]) for name in ids],
        }
        (scene / "splits" / f"{split}.json").write_text(json.dumps(content))


def write_keypoints(scene, marked, size="2x"):
    """Write points of the split "train", ``{id: [[x, y, seen], ...]}``."""
    folder = scene / "keypoint" / size / "train"
    folder.mkdir(parents=True)
    for name, points in marked.items():
        (folder / f"{name}.json").write_text(json.dumps(points))
