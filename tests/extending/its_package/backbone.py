"""A backbone of another family: text tokens sit in the same sequence, and in the same attention, as both views."""

import torch
from einops import rearrange
from torch import nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention

from mvt4g.geometry.rotary import rotate_pairs
from mvt4g.models.backbone import BackboneOutput, NovelViewBackbone
from mvt4g.models.conditioning.relative_pose import RelativePoseEncoder
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.types import AttentionTap, Conditions, InputError, LatentGrid, TapRequest, TapShape

PATCH = 2


class OneSequence(NovelViewBackbone):
    """[text | reference | target], one self-attention a block; small enough for a test."""

    def __init__(self, grid: LatentGrid, dim: int = 48, num_heads: int = 2, num_layers: int = 2, text_dim: int = 8):
        super().__init__()
        self.grid, self.num_layers, self.text_shape = grid, num_layers, (4, text_dim)
        self.tap_shape = TapShape(num_heads, dim // num_heads, PATCH * grid.spatial_stride, grid.temporal_stride)
        self.poses = RelativePoseEncoder(grid.temporal_stride)
        self.patch, self.camera = nn.Linear(grid.channels * PATCH**2, dim), nn.Linear(12, dim)
        self.text, self.time, self.view = nn.Linear(text_dim, dim), nn.Linear(2, dim), nn.Embedding(2, dim)
        self.null_text = nn.Parameter(0.02 * torch.randn(1, 1, text_dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads) for _ in range(num_layers))
        self.head = nn.Linear(dim, grid.channels * PATCH**2)
        nn.init.zeros_(self.head.weight)

    def encode_cameras(self, cameras, frames, height, width):
        if cameras.cam_from_world.shape[1] != 2 or height % PATCH or width % PATCH:
            raise InputError(f"cameras: got {cameras.cam_from_world.shape[1]} views of {height}x{width}, want 2, even")
        return self.poses(cameras, height, width)

    def forward(self, target_latents, reference_latents, timestep, cameras, conditions=Conditions(), taps=TapRequest()):
        frames, height, width = target_latents.shape[2:]
        poses = cameras if isinstance(cameras, torch.Tensor) else self.encode_cameras(cameras, frames, height, width)
        latents = torch.stack([reference_latents, target_latents], dim=1)
        patches = rearrange(latents, "b v c f (h y) (w x) -> b v f h w (c y x)", y=PATCH, x=PATCH)
        tokens = self.patch(patches) + self.camera(poses) + self.view.weight[:, None, None, None]
        grid = tokens.shape[1:5]
        text = self.null_text.expand(len(tokens), -1, -1) if conditions.text is None else conditions.text
        text = self.text(text) + self.time(torch.stack([timestep, timestep**2], dim=-1))[:, None]
        angles = rotary_angles(self.tap_shape.head_dim, torch.arange(frames), height // PATCH, width // PATCH)
        angles = angles.to(tokens).expand(2, -1, -1, -1, -1)
        sequence = torch.cat([text, tokens.flatten(1, 4)], dim=1)
        found = {}
        for layer, block in enumerate(self.blocks):
            if taps.stop_after and layer > max(taps.layers, default=-1):
                return BackboneOutput(target_latents[:, :, :0], found)
            sequence, query, key, words = block(sequence, angles.flatten(0, 3), text.shape[1])
            if layer in taps.layers:
                on_grid = [part.unflatten(1, grid) for part in (query, key)]
                times = self.grid.temporal_stride * torch.arange(frames, device=tokens.device)
                tap = AttentionTap(layer, *on_grid, angles[None, ..., None, :], times, self.tap_shape.stride, words)
                found |= {layer: tap} if taps.reader is None else (taps.reader(tap) or {})
        if taps.stop_after:
            return BackboneOutput(target_latents[:, :, :0], found)
        out = self.head(sequence[:, text.shape[1] :].unflatten(1, grid)[:, 1])
        velocity = rearrange(out, "b f h w (c y x) -> b c f (h y) (w x)", y=PATCH, x=PATCH)
        return BackboneOutput(velocity, found)

    def shard_units(self):
        return list(self.blocks)


class Block(nn.Module):
    """Attention over the whole sequence, and a perceptron."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))

    def forward(self, sequence, angles, num_words):
        """Return the next sequence, queries and keys of the video before rotary embedding, and keys of the words."""
        normed = rms_norm(sequence, sequence.shape[-1:])
        query, key, value = rearrange(self.qkv(normed), "b l (three k d) -> three b l k d", three=3, k=self.num_heads)
        rotated = [
            torch.cat([part[:, :num_words], rotate_pairs(part[:, num_words:], angles[:, None])], dim=1)
            for part in (query, key)
        ]
        inputs = (rearrange(part, "b l k d -> b k l d") for part in (*rotated, value))
        sequence = sequence + self.out(rearrange(scaled_dot_product_attention(*inputs), "b k l d -> b l (k d)"))
        sequence = sequence + self.mlp(rms_norm(sequence, sequence.shape[-1:]))
        return sequence, query[:, num_words:], key[:, num_words:], key[:, :num_words]
