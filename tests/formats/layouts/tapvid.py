"""A clip's views as TAP-Vid's clips, in plain NumPy."""

import io

import numpy as np
from PIL import Image


def tapvid_clip(clip, view=0, jpeg=False, hidden=True, by=None):
    """``by``: what pixels are divided by, (width, height) if None."""
    height, width = clip.video.shape[-2:]
    video = np.round(clip.video[view].numpy().transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    visible = clip.visible[view].numpy().T
    return {
        "video": [_jpeg(frame) for frame in video] if jpeg else video,
        "points": (clip.tracks[view].numpy().transpose(1, 0, 2) / np.array(by or (width, height))).astype(np.float32),
        "occluded": ~visible if hidden else visible,
    }


def _jpeg(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
