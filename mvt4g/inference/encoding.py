"""What a batch is to the model, whether its videos were encoded before or are encoded now."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.geometry.rendering import Rendering
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.models.codec import Codec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import REFERENCE, Conditions, InputError, LatentClip, MultiViewClip


class Encoded(NamedTuple):
    """Latents of both views, and what else the network is told."""

    latents: Float[Tensor, "b v d f lh lw"]
    conditions: Conditions = Conditions()


def encode_clip(
    model: NovelViewModel,
    batch: MultiViewClip | LatentClip,
    depth: ReferenceDepth | None = None,
    seed: int = 0,
) -> Encoded:
    """Encode a batch, or take what was encoded; a model with a lifted view is shown the reference lifted.

    Args:
        model: Whose codec and lifted view count.
        batch: Of either kind.
        depth: Gives the depth that the reference is lifted by; None = the clip's own.
        seed: Of damage to it, together with the clips' names.

    Raises:
        InputError: If another codec encoded it, or the reference is to be lifted and has no depth.
    """
    if isinstance(batch, MultiViewClip):
        rendering = None
        if model.lifted_view is not None:
            of_reference = depths_of(batch, depth or ReferenceDepth(), seed)
            rendering = model.lifted_view.render(batch, of_reference)
        return encode_shown(model, batch, rendering)
    names = batch.codec if isinstance(batch.codec, tuple) else (batch.codec,)
    for name in names:
        # Of some caches no more than the first word of the identity is known.
        if model.codec.identity != name and not model.codec.identity.startswith(f"{name} "):
            raise InputError(f"cache: got latents of {name!r}, want the model's codec {model.codec.identity!r}")
    if model.lifted_view is not None:
        raise InputError("data: got latents, which have no depth, want clips with it for a backbone of LiftedView")
    image = None if batch.image is None else batch.image[:, REFERENCE]
    return Encoded(batch.latents, Conditions(batch.text, image))


def depths_of(batch: MultiViewClip, depth: ReferenceDepth, seed: int) -> Float[Tensor, "b t h w"]:
    """Return the depth of the reference of every clip of a batch.

    Args:
        batch: Of one view or two, and the cameras of two.
        depth: Gives it.
        seed: Of damage to it, together with the clips' names.

    Raises:
        InputError: As ``ReferenceDepth``.
    """
    return torch.stack([depth(clip, seed) for clip in clips_of(batch)])


def clips_of(batch: MultiViewClip) -> list[MultiViewClip]:
    """Return the clips of a batch apart, with what lifting asks of them: videos, cameras, depth and what moves."""
    names = batch.name if isinstance(batch.name, tuple) else (batch.name,) * len(batch.video)
    clips = []
    for index, name in enumerate(names):
        clips.append(
            MultiViewClip(
                video=batch.video[index],
                cameras=batch.cameras[index],
                name=name,
                depth=None if batch.depth is None else batch.depth[index],
                dynamic=None if batch.dynamic is None else batch.dynamic[index],
            )
        )
    return clips


def encode_shown(model: NovelViewModel, clip: MultiViewClip, rendering: Rendering | None) -> Encoded:
    """Encode the videos of a batch, and what was rendered for the target's tokens.

    Args:
        model: Whose codec and lifted view count.
        clip: Of one view or two.
        rendering: From the target's cameras (b t); None = none is shown.
    """
    channels = None
    if model.lifted_view is not None and rendering is not None:
        channels = model.lifted_view.encode(model.codec, rendering)
    return Encoded(model.codec.encode(clip.video), Conditions(channels=channels))


def decode_clip(
    codec: Codec,
    batch: MultiViewClip | LatentClip,
    clips: int | None = None,
) -> MultiViewClip:
    """Return a batch as a clip with a video: of latents, what the codec decodes them to.

    Args:
        codec: Of the latents.
        batch: Of either kind.
        clips: How many of its first clips are needed, since decoding is not free; None = all.
    """
    if isinstance(batch, MultiViewClip):
        return batch

    def first(values: Shaped[Tensor, "b ..."] | None) -> Shaped[Tensor, "clips ..."] | None:
        return None if values is None else values[:clips]

    return MultiViewClip(
        video=codec.decode(batch.latents[:clips]),
        cameras=batch.cameras[:clips],
        name=batch.name if isinstance(batch.name, str) else batch.name[:clips],
        tracks=first(batch.tracks),
        visible=first(batch.visible),
        point_valid=first(batch.point_valid),
        caption=batch.caption[:clips] if isinstance(batch.caption, tuple) else batch.caption,
    )
