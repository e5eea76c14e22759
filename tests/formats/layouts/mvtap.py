"""A clip as a sequence of MV-TAP's Kubric, in plain NumPy."""

import numpy as np
from PIL import Image

from tests.formats.layouts.blender import GL


def write_mvtap(root, clip, sequence="seq_0", views=None, hidden=True, shift=0.0, axes=GL, suffix=".npy"):
    """``views`` are the folders' names in the order of the arrays: that of their names as text."""
    names = views or [f"view_{view}" for view in range(clip.video.shape[0])]
    for view, name in enumerate(names):
        folder = root / "frames" / sequence / name
        folder.mkdir(parents=True)
        for frame, picture in enumerate(clip.video[view].numpy()):
            colour = np.round(picture.transpose(1, 2, 0) * 255).astype(np.uint8)
            Image.fromarray(colour).convert("RGBA").save(folder / f"rgba_{frame:05d}.png")
    poses = clip.cameras.cam_from_world.double().numpy()
    visible = clip.visible.numpy().transpose(0, 2, 1)
    content = {
        "coords": clip.tracks.numpy().transpose(0, 2, 1, 3).astype(np.float64) + shift,
        "occluded": ~visible if hidden else visible,
        "is_bkgd": np.tile((clip.point_instance == 0).numpy()[None, :, None], (len(names), 1, 2)),
        "intrinsics": clip.cameras.intrinsics.double().numpy(),
        "cam_rot": axes @ poses[..., :3, :3],
        "cam_trans": poses[..., :3, 3] @ axes.T,
    }
    folder = root / "stacked_tracks" / sequence
    folder.mkdir(parents=True)
    if suffix == ".npy":
        np.save(folder / "tracks.npy", content, allow_pickle=True)
    else:
        np.savez(folder / "tracks.npz", **content)
