"""What the tensors of a Wan2.1 DiT are called in the original checkpoint, which is our name too, and in diffusers."""

import re

_DIFFUSERS = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}
_DIFFUSERS_BLOCK = {
    "modulation": "scale_shift_table",
    "norm3": "norm2",  # the affine norm before cross-attention; theirs called norm3 has no parameters
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
}
for _ours, _theirs in (("self_attn", "attn1"), ("cross_attn", "attn2")):
    for _part, _their_part in (
        ("q", "to_q"),
        ("k", "to_k"),
        ("v", "to_v"),
        ("o", "to_out.0"),
        ("norm_q", "norm_q"),
        ("norm_k", "norm_k"),
    ):
        _DIFFUSERS_BLOCK[f"{_ours}.{_part}"] = f"{_theirs}.{_their_part}"
_FROM_DIFFUSERS = {theirs: ours for ours, theirs in _DIFFUSERS.items()}
_FROM_DIFFUSERS_BLOCK = {theirs: ours for ours, theirs in _DIFFUSERS_BLOCK.items()}
_NAME = re.compile(r"(blocks\.\d+\.)?(.*?)(\.weight|\.bias)?")
_CONTROL_ADAPTER = "control_adapter."
"""Of Fun-Control-Camera: diffusers has no place for it."""


def to_diffusers(name: str) -> str | None:
    """Return what diffusers calls a tensor of the original checkpoint, or None if it has no place for it."""
    return _mapped(name, _DIFFUSERS, _DIFFUSERS_BLOCK)


def from_diffusers(name: str) -> str | None:
    """Return what the original checkpoint calls a tensor of diffusers, or None if there is none of that name."""
    return _mapped(name, _FROM_DIFFUSERS, _FROM_DIFFUSERS_BLOCK)


def is_original(name: str) -> bool:
    """Return whether a Wan2.1 or Wan2.1-Fun-Control-Camera checkpoint may have a tensor of this name."""
    return name.startswith(_CONTROL_ADAPTER) or to_diffusers(name) is not None


def _mapped(name: str, outside: dict[str, str], in_block: dict[str, str]) -> str | None:
    parts = _NAME.fullmatch(name)
    assert parts is not None, "the pattern takes any name"
    block = parts[1] or ""
    stem = parts[2]
    kind = parts[3] or ""
    mapped = (in_block if block else outside).get(stem)
    return None if mapped is None else f"{block}{mapped}{kind}"
