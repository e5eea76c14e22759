"""A clip as a scene of DyCheck's iPhone set, in plain NumPy."""

import json

import numpy as np
from PIL import Image


def write_iphone(scene, clip, size="2x", drop=(), world_from_cam=False):
    """Pictures are of half the size ("2x") that the cameras are about; only camera 0 has depth.

    ``drop``: ids without a picture. ``world_from_cam``: turn orientations the wrong way.
    """
    views, frames, _, height, width = clip.video.shape
    factor = 2 if size == "2x" else 1
    for folder in ("camera", f"rgb/{size}", f"depth/{size}"):
        (scene / folder).mkdir(parents=True)
    (scene / "extra.json").write_text(json.dumps({"fps": float(clip.fps), "factor": 2}))
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
        if view == 0:
            np.save(scene / "depth" / size / f"{name}.npy", clip.depth[view, frame].numpy()[..., None])
