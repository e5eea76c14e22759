"""A small CLIP vision tower with random weights, in a file as the released one comes, and transformers' twin of it."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

DIM, BLOCKS, PATCH, SIZE = 160, 3, 14, 56


def random_clip(seed=0):
    """Return transformers' tower; weights are large enough that each block shows."""
    config = CLIPVisionConfig(
        hidden_size=DIM, intermediate_size=96, num_hidden_layers=BLOCKS, num_attention_heads=DIM // 80,
        patch_size=PATCH, image_size=SIZE, hidden_act="gelu", layer_norm_eps=1e-5,
    )  # fmt: skip
    tower, generator = CLIPVisionModel(config).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in tower.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            scale = value[0].numel() ** -0.5 if "weight" in name and value.ndim > 1 and "position" not in name else 0.3
            value.copy_(noise * scale * (3 if "q_proj" in name or "k_proj" in name else 1))
            if "norm" in name and name.endswith("weight"):
                value.add_(1)
    return tower


def original_weights(tower):
    """Return a tower's weights under the names of Wan's checkpoint, beside some of its text tower."""
    found = {name.removeprefix("vision_model."): value for name, value in tower.state_dict().items()}
    named = {
        "visual.cls_embedding": found["embeddings.class_embedding"][None, None],
        "visual.pos_embedding": found["embeddings.position_embedding.weight"][None],
        "visual.patch_embedding.weight": found["embeddings.patch_embedding.weight"],
        "visual.head": torch.zeros(DIM, 4),
        "textual.token_embedding.weight": torch.zeros(5, 4),
        "log_scale": torch.zeros(()),
    }
    for part in ("weight", "bias"):
        named[f"visual.pre_norm.{part}"] = found[f"pre_layrnorm.{part}"]
        named[f"visual.post_norm.{part}"] = found[f"post_layernorm.{part}"]
        for block in range(BLOCKS):
            theirs, ours = f"encoder.layers.{block}", f"visual.transformer.{block}"
            qkv = [found[f"{theirs}.self_attn.{which}_proj.{part}"] for which in "qkv"]
            named[f"{ours}.attn.to_qkv.{part}"] = torch.cat(qkv)
            named[f"{ours}.attn.proj.{part}"] = found[f"{theirs}.self_attn.out_proj.{part}"]
            named[f"{ours}.mlp.0.{part}"] = found[f"{theirs}.mlp.fc1.{part}"]
            named[f"{ours}.mlp.2.{part}"] = found[f"{theirs}.mlp.fc2.{part}"]
            named[f"{ours}.norm1.{part}"] = found[f"{theirs}.layer_norm1.{part}"]
            named[f"{ours}.norm2.{part}"] = found[f"{theirs}.layer_norm2.{part}"]
    return named


def write_clip_weights(path, seed=0):
    torch.save(original_weights(random_clip(seed)), path)
    return path
