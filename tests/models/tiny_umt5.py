"""A small UMT5 with random weights and a tokenizer of a few words, in files as the released ones come."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mvt4g.models.text import TIED, UMT5Sizes, build_umt5, original_name

SIZES = UMT5Sizes(vocab_size=40, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4, num_buckets=32)
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "ball", "falls", "on", "&", "café", "one", "two"]


def random_umt5(seed=0):
    """Attention and biases large enough to show."""
    generator = torch.Generator().manual_seed(seed)
    encoder = build_umt5(SIZES)
    with torch.no_grad():
        for name, value in encoder.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if "layer_norm" in name:
                value.copy_(1 + 0.2 * noise)
            elif "bias" in name or "shared" in name:
                value.copy_(noise)
            else:
                value.copy_(noise / value.shape[1] ** 0.5)
    return encoder


def original_weights(encoder):
    return {original_name(name): value for name, value in encoder.state_dict().items() if name != TIED}


def write_umt5(path, seed=0):
    torch.save(original_weights(random_umt5(seed)), path)
    return path


def write_tokenizer(path, end_mark=True):
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if end_mark:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(path))
    return path
