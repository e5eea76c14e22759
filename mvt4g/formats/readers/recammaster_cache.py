"""ReCamMaster's cached latents beside MultiCamVideo's videos, read without running what a pickle might say.

    <root>/train/f24_aperture5/scene1/videos/cam01.mp4.tensors.pth ...
                                      cameras/camera_extrinsics.json

Each holds ``latents`` (16 f h w) of one video, normalised, and ``prompt_emb.context`` (1 512 4096), zero after the
prompt. They are of the middle of the square frames, resized to cover the latents' size.

Source: KwaiVGI/ReCamMaster, its data processing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.readers.focal_folders import focal_in_widths
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.trajectory_json import read_recammaster_world
from mvt4g.formats.weights import read_weights
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import TARGET, Cameras, InputError, LatentClip

CODEC = "WanCodec"
"""Its files do not say which VAE made them; it is Wan2.1's."""
SUFFIX = ".mp4.tensors.pth"
STRIDE = 8
_CHANNELS = 16


def is_recammaster_cache(path: Path) -> bool:
    """Say whether a scene with cached latents is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List the scene folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_scene, f"ReCamMaster's cache: videos/cam01{SUFFIX}, cameras/camera_extrinsics.json")


def count_views(scene: Path) -> int:
    """Return how many views a scene has latents of."""
    return len(_files(scene))


def read(scene: Path, views: Sequence[int]) -> LatentClip:
    """Read some views of one scene, the text that of the target as in ReCamMaster's training (of one view, its own).

    Raises:
        InputError: Naming file and field, if one is missing, broken, or latents and cameras do not fit each other, or
            no folder's name says the focal length.
    """
    path = scene / "cameras" / "camera_extrinsics.json"
    files = _files(scene)
    poses = read_recammaster_world(path)
    latents: list[Tensor] = []
    texts = []
    world_from_cam = []
    for view in views:
        file = files[view]
        name = file.name.removesuffix(SUFFIX)
        content = _read_content(file)
        latent = content["latents"].float()
        if name not in poses:
            raise InputError(f"{file}: got no camera {name}, want one in {path.name}")
        if latents and latent.shape != latents[0].shape:
            first = files[views[0]].name.removesuffix(SUFFIX)
            want = f"{tuple(latents[0].shape)} as in {first}"
            raise InputError(f"{file}: got latents {tuple(latent.shape)}, want {want}")
        # Wan's codec keeps the first frame and every fourth after it.
        if 4 * (latent.shape[1] - 1) + 1 != len(poses[name]):
            want = f"those of {len(poses[name])} frames"
            raise InputError(f"{file}: got {latent.shape[1]} latent frames, want {want}")
        latents.append(latent)
        texts.append(content.get("text"))
        world_from_cam.append(poses[name])
    poses_of_views = torch.stack(world_from_cam)
    intrinsics = _intrinsics(scene, *latents[0].shape[-2:])
    of_all = intrinsics.expand(*poses_of_views.shape[:2], 3, 3).clone()
    text = texts[min(TARGET, len(texts) - 1)]
    return LatentClip(
        latents=torch.stack(latents),
        cameras=Cameras(invert_pose(poses_of_views), of_all),
        codec=CODEC,
        name=scene.name,
        text=None if text is None else _without_padding(text[0].float()),
    )


def _is_scene(folder: Path) -> bool:
    videos = folder / "videos"
    return (folder / "cameras" / "camera_extrinsics.json").is_file() and any(videos.glob(f"*{SUFFIX}"))


def _files(scene: Path) -> list[Path]:
    return sorted((scene / "videos").glob(f"*{SUFFIX}"), key=lambda path: natural_key(path.name))


def _read_content(file: Path) -> dict[str, Shaped[Tensor, "..."]]:
    content: Any = read_weights(file)
    latents = content.get("latents") if isinstance(content, Mapping) else None
    if not isinstance(latents, Tensor) or latents.ndim != 4 or len(latents) != _CHANNELS:
        got = tuple(latents.shape) if isinstance(latents, Tensor) else type(latents).__name__
        raise InputError(f"{file}: latents: got {got}, want ({_CHANNELS} f h w)")
    if not bool(latents.isfinite().all()):
        raise InputError(f"{file}: latents: got NaN or infinity, want numbers")
    prompt = content.get("prompt_emb")
    if prompt is None:
        return {"latents": latents}
    text = prompt.get("context") if isinstance(prompt, Mapping) else None
    if not isinstance(text, Tensor) or text.ndim != 3 or len(text) != 1:
        want = "a tensor (1 tokens width)"
        raise InputError(f"{file}: prompt_emb.context: got {type(text).__name__}, want {want}")
    return {"latents": latents, "text": text}


def _without_padding(text: Float[Tensor, "l d"]) -> Float[Tensor, "n d"]:
    # The encoder's output is zeroed behind the prompt's last token; of no token one row stays.
    used = text.ne(0).any(dim=1).nonzero()
    return text[: int(used[-1]) + 1 if len(used) else 1]


def _intrinsics(scene: Path, rows: int, columns: int) -> Float[Tensor, "3 3"]:
    focal = focal_in_widths(scene)
    if focal is None:
        want = "one as f24_aperture5"
        raise InputError(f"{scene}: got no focal length in a folder's name, want {want}")
    height = rows * STRIDE
    width = columns * STRIDE
    # Square frames were resized to cover, then cut.
    pixels = focal * max(height, width)
    return torch.tensor([[pixels, 0.0, width / 2], [0.0, pixels, height / 2], [0.0, 0.0, 1.0]])
