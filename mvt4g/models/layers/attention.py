"""Self-attention over all tokens of all views, which hands out its queries and keys; cross-attention to text, image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.types import InputError

FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
"""Kernels that never hold the attention map."""
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Logit, clip, head, place of the query, place of the key (all scalars) to the logit with its bias: FlexAttention's."""
MAX_MAP_BYTES = 2**31
"""The largest attention map, in fp32, for which PyTorch may fall back to building it: at full size it is 192 GiB."""


@contextmanager
def map_refused() -> Iterator[None]:
    """Tell of an attention map that is too large to be built, where no fused kernel takes the inputs.

    Raises:
        InputError: Instead of PyTorch's own, which names neither device nor size.
    """
    try:
        yield
    except RuntimeError as error:
        # PyTorch says so in other words on CUDA and on the CPU.
        if not any(told in str(error) for told in ("No available kernel", "No viable backend")):
            raise
        gib = f"{MAX_MAP_BYTES / 2**30:.0f} GiB"
        raise InputError(
            f"attention: got inputs that no fused kernel takes and whose attention map is over {gib}"
            " (192 GiB for 81 frames of 480x832 with a reference), want a device and precision with flash or"
            " memory-efficient attention, such as CUDA with bf16-mixed"
        ) from error


class QueryKey(NamedTuple):
    """Queries and keys of one layer after qk-norm and before rotary embedding, in the order of the layer's tokens.

    ``angles`` (radians) is what the layer then rotates them by.
    """

    query: Float[Tensor, "b f h w k d"]
    key: Float[Tensor, "b f h w k d"]
    angles: Float[Tensor, "#b f h w #k half_d"]


class RMSNorm(nn.Module):
    """Root-mean-square norm over the full width, all heads together; fp32 inside, the tokens' dtype outside."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Normalise the last axis."""
        return F.rms_norm(tokens.float(), tokens.shape[-1:], self.weight.float(), self.eps).to(tokens.dtype)


class Attention(nn.Module):
    """Projections q, k, v, o with bias and q/k RMSNorm over the full width, as in both attentions of Wan2.1."""

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(dim, eps)
        self.norm_k = RMSNorm(dim, eps)

    def split_heads(self, features: Float[Tensor, "*batch kd"]) -> Float[Tensor, "*batch k d"]:
        """Split the width into heads."""
        return rearrange(features, "... (k d) -> ... k d", k=self.num_heads)


class SelfAttention(Attention):
    """Every token attends to every token of every frame and view.

    A backbone may set ``rope_phase_qk`` and ``rope_phase_vo``, which turn camera features into more angles: queries and
    keys are rotated by the first on top of where they sit; values by minus the second, and the output, which gathers
    values of all cameras, by the second of the token that asked. ``gather``, where set, brings in keys and values of
    tokens that are elsewhere (``token_parallel``).

    Source: ReDirector (arXiv 2511.19827), rotary camera encoding.
    """

    def __init__(self, dim: int, num_heads: int, eps: float) -> None:
        super().__init__(dim, num_heads, eps)
        self.rope_phase_qk: nn.Module | None = None
        self.rope_phase_vo: nn.Module | None = None
        self.gather: Callable[[Tensor], Tensor] | None = None

    def forward(
        self,
        tokens: Float[Tensor, "b f h w kd"],
        angles: Float[Tensor, "#b f h w #k half_d"],
        num_frames: int | None = None,
        camera: Float[Tensor, "b f h w c"] | None = None,
        bias: Float[Tensor, "b k f h w cells"] | ScoreMod | None = None,
    ) -> tuple[Float[Tensor, "b n h w kd"], QueryKey]:
        """Attend.

        Args:
            tokens: Modulated and with the cameras added.
            angles: What each feature pair of query and key is rotated by, radians.
            num_frames: Let only this many leading frames attend (to all); None = all.
            camera: What the phases are made of.
            bias: Added to the logits between every token and those of the frame half the sequence away, which is the
                other view's same frame, or of an odd number of frames about that one; None = 0. A ``ScoreMod`` is
                called with the places of tokens instead.

        Returns:
            The update of the tokens that attend, and the queries and keys of all.
        """
        query, key, angles = tap = self.query_key(tokens, angles, camera)
        value = self.split_heads(self.v(tokens))
        phase = None if self.rope_phase_vo is None else self.rope_phase_vo(camera)
        if phase is not None:
            value = rotate_pairs(value, -phase)
        rotated = rotate_pairs(query[:, :num_frames], angles[:, :num_frames])
        key = rotate_pairs(key, angles)
        if self.gather is not None:
            key = self.gather(key)
            value = self.gather(value)
        if callable(bias):
            update = self.o(_attend_by_score(rotated, key, value, bias))
        else:
            mask = None if bias is None else _logit_mask(bias[:, :, : rotated.shape[1]], bias.shape[2])
            update = self.o(_attend(rotated, key, value, mask))
        if phase is not None:
            update = rotate_pairs(self.split_heads(update), phase[:, :num_frames]).flatten(-2)
        return update, tap

    def query_key(
        self,
        tokens: Float[Tensor, "b f h w kd"],
        angles: Float[Tensor, "#b f h w #k half_d"],
        camera: Float[Tensor, "b f h w c"] | None = None,
    ) -> QueryKey:
        """Return what attention would look at, without attending."""
        query = self.split_heads(self.norm_q(self.q(tokens)))
        key = self.split_heads(self.norm_k(self.k(tokens)))
        if self.rope_phase_qk is not None:
            angles = angles + self.rope_phase_qk(camera)
        return QueryKey(query, key, angles)


class CrossAttention(Attention):
    """Every token attends to the text, and beside it to the image where the network is made for one.

    Padding of the text is attended too, as in Wan2.1, which was trained so.
    """

    def __init__(self, dim: int, num_heads: int, eps: float, with_image: bool = False) -> None:
        super().__init__(dim, num_heads, eps)
        if with_image:
            self.k_img = nn.Linear(dim, dim)
            self.v_img = nn.Linear(dim, dim)
            self.norm_k_img = RMSNorm(dim, eps)

    def forward(
        self,
        tokens: Float[Tensor, "b f h w kd"],
        text: Float[Tensor, "b l kd"],
        image: Float[Tensor, "b i kd"] | None = None,
    ) -> Float[Tensor, "b f h w kd"]:
        """Return the update of the tokens."""
        query = self.split_heads(self.norm_q(self.q(tokens)))
        key = self.split_heads(self.norm_k(self.k(text)))
        attended = _attend(query, key, self.split_heads(self.v(text)))
        if image is not None:
            key = self.split_heads(self.norm_k_img(self.k_img(image)))
            attended = attended + _attend(query, key, self.split_heads(self.v_img(image)))
        return self.o(attended)


def joined(
    bias: Float[Tensor, "b k f h w cells"] | ScoreMod,
    other: Float[Tensor, "b k f h w other_cells"] | ScoreMod,
) -> Float[Tensor, "b k f h w cells"]:
    """Return the sum of two conditionings' biases.

    Raises:
        InputError: If one is a ``ScoreMod``, or they reach over different numbers of frames.
    """
    if callable(bias) or callable(other) or bias.shape != other.shape:
        raise InputError("extra_conditioning: got two biases on attention, want maps over the same frames, or one")
    return bias + other


def _logit_mask(
    bias: Float[Tensor, "b k f h w cells"],
    num_frames: int,
) -> Float[Tensor, "b k tokens all_tokens"]:
    """Lay a bias towards the other view's same frame, and frames about it, out over all keys, 0 for those of others.

    Args:
        bias: Of the leading frames, which attend.
        num_frames: Of both views together: frame i of one and frame i + num_frames / 2 are of the same time.
    """
    batch, heads, frames, height, width, biased = bias.shape
    cells = height * width
    moments = num_frames // 2
    reach = biased // cells // 2
    mask = bias.new_zeros(batch, heads, frames, cells, num_frames, cells)
    by_offset = rearrange(bias, "b k f h w (offset cells) -> offset f b k (h w) cells", cells=cells)
    for offset, part in zip(range(-reach, reach + 1), by_offset, strict=True):
        # The frame that many after the token's own, in the other view: there is none beyond the first or last.
        # Plain numbers: of indices in tensors, torch.compile makes no graph.
        there = [frame for frame in range(frames) if 0 <= frame % moments + offset < moments]
        other = [(frame + moments) % num_frames + offset for frame in there]
        if there:
            mask[:, :, there, :, other] = part[there]
    return rearrange(mask, "b k f token other cells -> b k (f token) (other cells)")


def _attend_by_score(
    query: Float[Tensor, "b f h w k d"],
    key: Float[Tensor, "b *keys k d"],
    value: Float[Tensor, "b *keys k d"],
    score: ScoreMod,
) -> Float[Tensor, "b f h w kd"]:
    """Attend with logits that pass ``score``: on a GPU by FlexAttention, which holds no map, on a CPU with one."""
    _, frames, height, width, _, _ = query.shape
    query, key, value = (rearrange(part, "b ... k d -> b k (...) d") for part in (query, key, value))
    key = key.to(query.dtype)
    value = value.to(query.dtype)
    if query.is_cuda:
        attended = _flex_attention()(query, key, value, score_mod=score)
    elif query[..., 0].numel() * key.shape[2] * 4 > MAX_MAP_BYTES:
        gib = f"{MAX_MAP_BYTES / 2**30:.0f} GiB"
        raise InputError(f"attention: got a map over {gib} on a CPU, want a GPU or fewer tokens")
    else:
        logits = query @ key.mT * query.shape[-1] ** -0.5
        places = (torch.arange(size, device=query.device) for size in logits.shape)
        logits = score(logits, *torch.meshgrid(*places, indexing="ij"))
        attended = logits.softmax(dim=-1) @ value
    return rearrange(attended, "b k (f h w) d -> b f h w (k d)", f=frames, h=height, w=width)


@cache
def _flex_attention() -> Callable[..., Any]:
    return torch.compile(flex_attention, dynamic=False)


def _attend(
    query: Float[Tensor, "b f h w k d"],
    key: Float[Tensor, "b *keys k d"],
    value: Float[Tensor, "b *keys k d"],
    mask: Float[Tensor, "b k queries keys"] | None = None,
) -> Float[Tensor, "b f h w kd"]:
    _, frames, height, width, _, _ = query.shape
    query, key, value = (rearrange(part, "b ... k d -> b k (...) d") for part in (query, key, value))
    key = key.to(query.dtype)
    value = value.to(query.dtype)
    # 4 bytes a logit: the map that PyTorch builds where no fused kernel takes the inputs is fp32.
    if query[..., 0].numel() * key.shape[2] * 4 > MAX_MAP_BYTES:
        if mask is not None:
            gib = f"{MAX_MAP_BYTES / 2**30:.0f} GiB"
            want = "fewer tokens or no conditioning that biases attention"
            raise InputError(f"attention: got a bias on a map over {gib}, which would be built, want {want}")
        with sdpa_kernel(FUSED):
            attended = F.scaled_dot_product_attention(query, key, value)
    else:
        mask = None if mask is None else mask.to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return rearrange(attended, "b k (f h w) d -> b f h w (k d)", f=frames, h=height, w=width)
