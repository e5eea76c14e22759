"""What a batch is to the model, whether its videos were encoded before or are encoded now."""

from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor

from mvt4g.models.codec import Codec
from mvt4g.types import REFERENCE, Conditions, InputError, LatentClip, MultiViewClip


class Encoded(NamedTuple):
    """Latents of both views, and what else the network is told."""

    latents: Float[Tensor, "b v d f lh lw"]
    conditions: Conditions = Conditions()


def encode_clip(codec: Codec, batch: MultiViewClip | LatentClip) -> Encoded:
    """Encode a batch, or take what was encoded.

    Raises:
        InputError: If another codec encoded it.
    """
    if isinstance(batch, MultiViewClip):
        return Encoded(codec.encode(batch.video))
    names = batch.codec if isinstance(batch.codec, tuple) else (batch.codec,)
    for name in names:
        # Of some caches no more than the first word of the identity is known.
        if codec.identity != name and not codec.identity.startswith(f"{name} "):
            raise InputError(f"cache: got latents of {name!r}, want the model's codec {codec.identity!r}")
    image = None if batch.image is None else batch.image[:, REFERENCE]
    return Encoded(batch.latents, Conditions(batch.text, image))


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
