"""A view of a clip as a sequence of CoTracker3_Kubric, in plain NumPy."""

import numpy as np
from PIL import Image

from tests.formats.layouts.blender import camera_part, distances


def write_cotracker(
    sequence, clip, view=0, visibility="hidden", shift=0.0, depth_as="z", camera=True, order="wxyz", drop=()
):
    (sequence / "frames").mkdir(parents=True)
    (sequence / "depths").mkdir()
    size = tuple(clip.video.shape[-2:])
    for frame, picture in enumerate(clip.video[view].numpy()):
        colour = np.round(picture.transpose(1, 2, 0) * 255).astype(np.uint8)
        Image.fromarray(colour).save(sequence / "frames" / f"{frame:03d}.png")
        z, k = clip.depth[view, frame].numpy(), clip.cameras.intrinsics[view, frame].numpy()
        np.save(sequence / "depths" / f"{frame:03d}.npy", z if depth_as == "z" else distances(z, k))
    poses, k = clip.cameras.cam_from_world[view].numpy(), clip.cameras.intrinsics[view, 0].numpy()
    visible = clip.visible[view].numpy().T
    content = {
        "coords": clip.tracks[view].numpy().transpose(1, 0, 2) + shift,
        "visibility": ~visible if visibility == "hidden" else visible,
        "segmentations": clip.instances[view].numpy()[..., None].astype(np.uint8),
    }
    if camera:
        part = camera_part(poses, k, size, order=order, with_k=False)
        keep = ("focal_length", "sensor_width", "positions", "quaternions")
        content["camera"] = {name: np.asarray(part[name]) for name in keep if name not in drop}
    np.save(sequence / f"{sequence.name}.npy", content, allow_pickle=True)
