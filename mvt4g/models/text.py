"""Wan2.1's text encoder, UMT5 by transformers: prompts are encoded once, before training, and it is dropped."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mvt4g.models.pretrained import DTYPES, fill_frozen, read_pretrained
from mvt4g.ranges import Count, Depth, Range, Width, check_ranges
from mvt4g.types import InputError

NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
"""What Wan2.1 and ReCamMaster guide away from: colours too loud, overexposed, still, blurred details, subtitles, worst
quality, JPEG residue, deformed hands, faces and limbs, cluttered backgrounds, walking backwards ... The weights were
sampled with this very text, so its translation is another prompt."""
MAX_DISTANCE = 128
"""Relative positions from here on share a bucket."""
TIED = "encoder.embed_tokens.weight"

_RENAMES = (
    (r"^shared\.", "token_embedding."),
    (r"^encoder\.final_layer_norm\.", "norm."),
    (r"^encoder\.block\.", "blocks."),
    (r"\.layer\.0\.layer_norm\.", ".norm1."),
    (r"\.layer\.0\.SelfAttention\.relative_attention_bias\.", ".pos_embedding.embedding."),
    (r"\.layer\.0\.SelfAttention\.", ".attn."),
    (r"\.layer\.1\.layer_norm\.", ".norm2."),
    (r"\.layer\.1\.DenseReluDense\.wi_0\.", ".ffn.gate.0."),
    (r"\.layer\.1\.DenseReluDense\.wi_1\.", ".ffn.fc1."),
    (r"\.layer\.1\.DenseReluDense\.wo\.", ".ffn.fc2."),
)


@dataclass(frozen=True)
class UMT5Sizes:
    """Sizes of the encoder; the defaults are UMT5-xxl's."""

    vocab_size: Count = 256384
    d_model: Width = 4096
    d_kv: Width = 64
    d_ff: Width = 10240
    num_layers: Depth = 24
    num_heads: Depth = 64
    num_buckets: Width = 32


@dataclass(frozen=True)
class TextEncoderSpec:
    """Where the text encoder lies.

    Attributes:
        weights: Local: ``models_t5_umt5-xxl-enc-bf16.pth``, a ``.safetensors``, or diffusers' folder ``text_encoder/``.
        tokenizer: ``tokenizer.json``, or the folder that holds it (``google/umt5-xxl/``, diffusers' ``tokenizer/``).
        length: Tokens after which a prompt is cut.
        dtype: What the weights are kept in.
    """

    weights: Path
    tokenizer: Path
    length: Annotated[int, Range(2, 2**20)] = 512  # room for a token and the end
    dtype: Literal["float32", "bfloat16"] = "bfloat16"

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            InputError: If ``length`` is out of it.
        """
        check_ranges(self, "encoder")


def encode_prompts(
    prompts: Sequence[str], spec: TextEncoderSpec, device: torch.device | str = "cpu"
) -> dict[str, Float[Tensor, "_ d"]]:
    """Encode every different prompt once; the encoder is in memory during the call alone.

    Args:
        prompts: As they were written; see ``clean_prompt``.
        spec: The encoder.
        device: Where it runs.

    Returns:
        Its embedding by prompt, on the CPU and in fp32: a row a token, none for padding. What comes after is zero, and
        ``VideoDiT`` pads with zeros itself.

    Raises:
        InputError: If a file is missing, broken or of something else, or a package is not installed.
    """
    tokenizer = load_tokenizer(spec.tokenizer, spec.length)
    encoder = load_umt5(spec.weights, DTYPES[spec.dtype]).to(device)
    embeddings: dict[str, Tensor] = {}
    for prompt in prompts:
        if prompt not in embeddings:
            ids = torch.tensor([tokenizer.encode(clean_prompt(prompt)).ids], device=device)
            embeddings[prompt] = encode_tokens(encoder, ids)[0].float().cpu()
    return embeddings


@torch.no_grad()
def encode_tokens(encoder: nn.Module, ids: Any) -> Float[Tensor, "b l d"]:
    """Run the encoder on prompts of one length, without padding: what padding could add, a mask would take away."""
    output: Tensor = encoder(input_ids=ids).last_hidden_state
    return output


def clean_prompt(prompt: str) -> str:
    """Mend mis-decoded characters, resolve HTML entities twice, and make every run of white space one space.

    Raises:
        InputError: If ftfy is not installed.
    """
    try:
        import ftfy
    except ImportError as error:
        raise InputError(f"text: cleaning prompts needs ftfy ({error}), want `pip install mvt4g[wan]`") from error
    # Twice, as Wan2.1 does: captions of the web are often escaped once more than they should be.
    mended = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", mended).strip()


def load_tokenizer(path: Path, length: int) -> Any:
    """Return the tokenizer of a ``tokenizer.json``, which cuts prompts to ``length`` tokens, the end mark included.

    Raises:
        InputError: If there is none, it cannot be read, or it ends no prompt with a mark, as UMT5 was trained.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file, want a tokenizer.json")
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InputError(f"text: needs tokenizers ({error}), want `pip install mvt4g[wan]`") from error
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # it raises nothing narrower
        raise InputError(f"{file}: cannot be read ({error}), want a tokenizer.json") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    if len(tokenizer.encode("").ids) != 1:
        raise InputError(f"{file}: got no end mark after a prompt, want UMT5's tokenizer, which adds one")
    return tokenizer


def load_umt5(path: Path, dtype: torch.dtype) -> nn.Module:
    """Return the encoder with the weights of a file.

    Raises:
        InputError: If transformers is not installed, or the file is missing, broken, or another network's.
    """
    found = read_pretrained(path)
    sizes = _sizes(found)
    net: Any = fill_frozen(lambda: build_umt5(sizes), found, path, dtype, original_name, tied=(TIED,))
    # Input embeddings are the shared ones; files hold them once.
    net.encoder.set_input_embeddings(net.shared)
    encoder: nn.Module = net
    return encoder


def build_umt5(sizes: UMT5Sizes = UMT5Sizes()) -> nn.Module:
    """Return transformers' encoder with random weights.

    Raises:
        InputError: If transformers is not installed.
    """
    try:
        from transformers import UMT5Config, UMT5EncoderModel
    except ImportError as error:
        raise InputError(f"text: UMT5 needs transformers ({error}), want `pip install mvt4g[wan]`") from error
    config = UMT5Config(
        vocab_size=sizes.vocab_size,
        d_model=sizes.d_model,
        d_kv=sizes.d_kv,
        d_ff=sizes.d_ff,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        relative_attention_num_buckets=sizes.num_buckets,
        relative_attention_max_distance=MAX_DISTANCE,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
    encoder: Any = UMT5EncoderModel(config)
    assert isinstance(encoder, nn.Module)
    return encoder


def original_name(name: str) -> str:
    """Return what ``models_t5_umt5-xxl-enc-bf16.pth`` calls a weight of transformers' encoder."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _sizes(found: Mapping[str, Shaped[Tensor, "..."]]) -> UMT5Sizes:
    """Read the sizes off the weights; where they cannot be, those of the released ones let messages name what lacks."""
    named = {original_name(name): value.shape for name, value in found.items()}
    try:
        vocab, width = named["token_embedding.weight"]
        inner, _ = named["blocks.0.attn.q.weight"]
        buckets, heads = named["blocks.0.pos_embedding.embedding.weight"]
        hidden, _ = named["blocks.0.ffn.fc1.weight"]
    except (KeyError, ValueError):
        return UMT5Sizes()
    layers = sum(re.fullmatch(r"blocks\.\d+\.norm1\.weight", name) is not None for name in named)
    return UMT5Sizes(vocab, width, inner // heads, hidden, layers, heads, buckets)
