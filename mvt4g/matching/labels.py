"""Labels over the cells of a frame, and the log-probability that attention gives to cells."""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.matching.rows import MAX_LOGITS, frames_at_once
from mvt4g.matching.tokens import cell_of_pixels, flat_cell
from mvt4g.types import AttentionTap

LabelKind = Literal["hard", "bilinear", "gaussian"]


def cell_labels(
    xy: Float[Tensor, "*batch 2"],
    stride: int,
    height: int,
    width: int,
    kind: LabelKind = "hard",
    sigma: float = 1.0,
) -> tuple[Int[Tensor, "*batch m"], Float[Tensor, "*batch m"]]:
    """Return the cells that share a point's label, and their shares, which sum to 1.

    Args:
        xy: Pixels; a point outside the map counts as on its border.
        stride: Pixels a cell covers on each side.
        height: Rows of the map.
        width: Its columns.
        kind: ``hard``: the cell under the point (m = 1). ``bilinear``: the four cells whose centres surround it, by
            how near they are (m = 4); at the border, cells repeat. ``gaussian``: a normal density about the point,
            cut off at three sigma and at the border.
        sigma: Of ``gaussian``, in cells.

    Returns:
        Flat cells (row * width + column) and shares.
    """
    if kind == "hard":
        cell = flat_cell(cell_of_pixels(xy, stride), height, width)[..., None]
        return cell, torch.ones_like(cell, dtype=xy.dtype)
    limit = xy.new_tensor([width, height])
    position = torch.minimum((xy / stride).clamp(min=0), limit)
    if kind == "bilinear":
        corner = torch.floor(position - 0.5)
        offset = _offsets(0, 1, xy.device)
        away = (position - 0.5 - corner)[..., None, :]
        # Along each axis the share of a centre is 1 less its distance.
        share = (1 - away - offset).abs().prod(dim=-1)
    else:
        corner = torch.minimum(torch.floor(position), limit - 1)
        reach = math.ceil(3 * sigma)
        offset = _offsets(-reach, reach, xy.device)
        away = corner[..., None, :] + offset + 0.5 - position[..., None, :]
        share = torch.exp(-away.square().sum(dim=-1) / (2 * sigma**2))
        cell = corner[..., None, :] + offset
        inside = ((cell >= 0) & (cell < limit)).all(dim=-1)
        share = torch.where(inside, share, 0.0)
        share = share / share.sum(dim=-1, keepdim=True)
    cells = (corner[..., None, :] + offset).long()
    return flat_cell(cells, height, width), share


def label_log_probability(
    query_rows: Float[Tensor, "b q k d"],
    tap: AttentionTap,
    cells: Int[Tensor, "b v f q m"],
    max_logits: int = MAX_LOGITS,
) -> Float[Tensor, "b v f q k m"]:
    """Return the log-probability that each row's per-frame softmax gives to some cells of every frame.

    Frames are taken a few at a time and their logits computed again in backward, where each frame's gradient is written
    once, to its place: memory beyond the gradients does not grow with the number of frames.

    Args:
        query_rows: After rotary embedding, from ``gather_queries(tap, queries, rotate=True)``.
        tap: Its keys are rotated here, a few frames at a time; gradients reach its angles too.
        cells: Flat (row * w + column); may repeat.
        max_logits: Most logits, or rotated key features, held at once; at least one frame's are.
    """
    frames = rearrange(cells, "b v f q m -> b (v f) q m")
    keys = rearrange(tap.key, "b v f h w k d -> b (v f) (h w) k d")
    angles = rearrange(tap.rotary, "b v f h w k e -> b (v f) (h w) k e")
    chosen = _CellLogProbability.apply(query_rows, keys, angles, frames, max_logits)
    return rearrange(chosen, "b k (v f) q m -> b v f q k m", v=tap.key.shape[1])


class _CellLogProbability(torch.autograd.Function):
    """Log-softmax (b k n q m) of rows (b q k d) over the keys (b n l k d) of every frame n, at cells (b n q m)."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Float[Tensor, "b q k d"],
        keys: Float[Tensor, "b n l k d"],
        angles: Float[Tensor, "#b n l #k e"],
        cells: Int[Tensor, "b n q m"],
        max_logits: int,
    ) -> Float[Tensor, "b k n q m"]:
        ctx.size = frames_at_once(rows, keys.shape[2], max_logits)
        asking = rearrange(rows * rows.shape[-1] ** -0.5, "b q k d -> b k 1 q d")
        chosen = asking.new_empty(*asking.shape[:2], *cells.shape[1:])
        normaliser = asking.new_empty(*asking.shape[:2], *cells.shape[1:3], 1)
        with torch.autocast(keys.device.type, enabled=False):
            for part in _frame_parts(keys, ctx.size):
                logits = asking @ _rotated(keys, angles, part).mT
                normaliser[:, :, part] = logits.logsumexp(dim=-1, keepdim=True)
                chosen[:, :, part] = logits.take_along_dim(cells[:, None, part], dim=-1)
        ctx.save_for_backward(asking, keys, angles, cells, normaliser)
        return chosen.sub_(normaliser)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Float[Tensor, "b k n q m"]
    ) -> tuple[Float[Tensor, "b q k d"], Float[Tensor, "b n l k d"], Float[Tensor, "..."] | None, None, None]:
        asking, keys, angles, cells, normaliser = ctx.saved_tensors
        rows_grad = torch.zeros_like(asking)
        keys_grad = torch.empty_like(keys)
        angles_grad = torch.empty_like(angles) if ctx.needs_input_grad[2] else None
        with torch.autocast(keys.device.type, enabled=False):
            for part in _frame_parts(keys, ctx.size):
                rotated = _rotated(keys, angles, part)
                upstream = grad[:, :, part]
                logits_grad = (asking @ rotated.mT).sub_(normaliser[:, :, part]).exp_()
                logits_grad.mul_(-upstream.sum(dim=-1, keepdim=True))
                logits_grad.scatter_add_(-1, cells[:, None, part].expand(upstream.shape), upstream)
                rows_grad += (logits_grad @ rotated).sum(dim=2, keepdim=True)
                rotated_grad = rearrange(logits_grad.mT @ asking, "b k n l d -> b n l k d")
                keys_grad[:, part] = rotate_pairs(rotated_grad, -angles[:, part])
                if angles_grad is not None:
                    turned = _turning(rearrange(rotated, "b k n l d -> b n l k d"), rotated_grad)
                    angles_grad[:, part] = turned.sum_to_size(angles[:, part].shape)
        rows_grad = rearrange(rows_grad * keys.shape[-1] ** -0.5, "b k 1 q d -> b q k d")
        return rows_grad, keys_grad, angles_grad, None, None


def _frame_parts(keys: Float[Tensor, "b n l k d"], size: int) -> Iterator[slice]:
    frames = keys.shape[1]
    return (slice(start, min(start + size, frames)) for start in range(0, frames, size))


def _rotated(
    keys: Float[Tensor, "b all_n l k d"],
    angles: Float[Tensor, "#b all_n l #k e"],
    part: slice,
) -> Float[Tensor, "b k n l d"]:
    """Keys of some frames as attention uses them, in fp32 or wider."""
    keys = keys[:, part].to(torch.promote_types(keys.dtype, torch.float32))
    return rearrange(rotate_pairs(keys, angles[:, part]), "b n l k d -> b k n l d")


def _turning(
    rotated: Float[Tensor, "b n l k d"],
    grad: Float[Tensor, "b n l k d"],
) -> Float[Tensor, "b n l k e"]:
    """Gradient to the angles of features after rotation: each pair (x, y) turns towards (-y, x)."""
    x, y = rotated.unflatten(-1, (-1, 2)).unbind(dim=-1)
    grad_x, grad_y = grad.unflatten(-1, (-1, 2)).unbind(dim=-1)
    return grad_y * x - grad_x * y


def _offsets(first: int, last: int, device: torch.device) -> Int[Tensor, "m 2"]:
    """Every (column, row) offset from ``first`` to ``last``, row-major."""
    steps = torch.arange(first, last + 1, device=device)
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    return rearrange(torch.stack([columns, rows], dim=-1), "y x two -> (y x) two")
