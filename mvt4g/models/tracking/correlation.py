"""Local 4D correlation: a patch of query features around each point against patches of keys in every frame.

All positions of a patch lie a whole number of cells apart, so they share one bilinear fraction. The keys are therefore
gathered once, on the (2*radius + 2)^2 whole cells around a point, and it is their dot products that are interpolated.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

MAX_GATHERED = 2**23
"""Key features gathered at once (32 MiB in fp32); any value gives the same result."""


def local_correlation(
    query_features: Float[Tensor, "p r d"],
    key_maps: Float[Tensor, "f d h w"],
    key_xy: Float[Tensor, "f p 2"],
    radius: int,
) -> Float[Tensor, "f p r o"]:
    """Return the dot products of every query feature with the keys at offsets -radius..radius around each position.

    Gradients reach features and maps, never positions.

    Args:
        query_features: Of the patch around each query point, r = (2*radius + 1)^2 row-major.
        key_maps: One per frame.
        key_xy: Where each point is thought to be in each frame, in cells of ``key_maps``, cell centres at i + 0.5.
        radius: In cells.

    Returns:
        Plain dot products, unscaled; last axis o = (2*radius + 1)^2, row-major over offsets (dy, dx), read bilinearly;
        outside the map counts the border cell.

    Source: LocoTrack (arXiv 2407.15420), section 3.2.
    """
    maps = rearrange(key_maps, "f d h w -> 1 f h w d")
    return batched_correlation(query_features[None], maps, key_xy[None], radius)[0]


def batched_correlation(
    query_features: Float[Tensor, "b p r d"],
    key_maps: Float[Tensor, "b f h w d"],
    key_xy: Float[Tensor, "b f p 2"],
    radius: int,
    max_gathered: int = MAX_GATHERED,
) -> Float[Tensor, "b f p r o"]:
    """As ``local_correlation`` for a batch of clips, features last; frames are taken a few at a time.

    With more than one chunk, each is recomputed in backward, so that memory does not grow with the number of frames.
    """
    batch, points, _, dim = query_features.shape
    size = max(1, max_gathered // max(1, batch * points * (2 * radius + 2) ** 2 * dim))
    key_xy = key_xy.detach()
    if size >= key_maps.shape[1]:
        return _correlation(query_features, key_maps, key_xy, radius)
    parts = zip(key_maps.split(size, dim=1), key_xy.split(size, dim=1), strict=True)
    chunks = [
        checkpoint(_correlation, query_features, *part, radius, use_reentrant=False, preserve_rng_state=False)
        for part in parts
    ]
    return torch.cat(chunks, dim=1)


def local_patches(
    maps: Float[Tensor, "m h w d"], map_index: Int[Tensor, " n"], xy: Float[Tensor, "n 2"], radius: int
) -> Float[Tensor, "n r d"]:
    """Read the patch of features around each position, each from its own map, bilinearly; no gradient to positions.

    Args:
        maps: Any number of maps of one size.
        map_index: Which map each position is on.
        xy: In cells, centres at i + 0.5; outside the map counts the border cell.
        radius: In cells; r = (2*radius + 1)^2, row-major over offsets (dy, dx).
    """
    height, width = maps.shape[1:3]
    cell, fraction = _surrounding_cells(xy.detach(), height, width, radius)
    index = map_index[:, None] * (height * width) + cell
    rows = rearrange(maps, "m h w d -> (m h w) d").index_select(0, index.flatten())
    side = 2 * radius + 2
    square = rearrange(rows, "(n y x) d -> n d y x", y=side, x=side)
    return rearrange(_blended(square, fraction[:, None]), "n d y x -> n (y x) d")


def _correlation(query_features: Tensor, key_maps: Tensor, key_xy: Tensor, radius: int) -> Tensor:
    batch, frames, height, width, _ = key_maps.shape
    side = 2 * radius + 2
    cell, fraction = _surrounding_cells(rearrange(key_xy, "b f p xy -> b p f xy"), height, width, radius)
    frame = torch.arange(batch * frames, device=key_maps.device)
    first_row = rearrange(frame * (height * width), "(b f) -> b 1 f 1", b=batch)
    rows = rearrange(key_maps, "b f h w d -> (b f h w) d").index_select(0, (first_row + cell).flatten())
    keys = rearrange(rows, "(b p f m) d -> b p f m d", b=batch, f=frames, m=side**2)
    dots = einsum(query_features, keys, "b p r d, b p f m d -> b p r f m")
    square = rearrange(dots, "b p r f (y x) -> b p r f y x", y=side)
    return rearrange(_blended(square, fraction[:, :, None]), "b p r f y x -> b f p r (y x)")


def _surrounding_cells(xy: Tensor, height: int, width: int, radius: int) -> tuple[Tensor, Tensor]:
    """Flat indices of the (2*radius + 2)^2 cells whose centres surround a patch, and the fraction (x, y) past them."""
    corner = torch.floor(xy - 0.5)
    offsets = torch.arange(-radius, radius + 2, device=xy.device)
    columns = (corner[..., 0, None].long() + offsets).clamp(0, width - 1)
    rows = (corner[..., 1, None].long() + offsets).clamp(0, height - 1)
    cell = rearrange(rows, "... y -> ... y 1") * width + rearrange(columns, "... x -> ... 1 x")
    return rearrange(cell, "... y x -> ... (y x)"), xy - 0.5 - corner


def _blended(square: Tensor, fraction: Tensor) -> Tensor:
    """Interpolate (... y x) between neighbours; the result has one row and one column less."""
    fraction = fraction.to(square.dtype)
    along_x, along_y = fraction[..., 0, None, None], fraction[..., 1, None, None]
    rows = torch.lerp(square[..., :-1], square[..., 1:], along_x)
    return torch.lerp(rows[..., :-1, :], rows[..., 1:, :], along_y)
