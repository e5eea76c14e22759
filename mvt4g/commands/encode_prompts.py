"""``mvt4g encode-prompts``: embeddings of prompts in files, for sampling with guidance."""

import sys
from pathlib import Path

import torch

from mvt4g.formats.latent_file import write_prompt
from mvt4g.models.text import NEGATIVE_PROMPT, TextEncoderSpec, encode_prompts


def encode_prompts_to(out: Path, text: TextEncoderSpec, prompts: tuple[str, ...] = (), device: str = "auto") -> int:
    """Encode prompts into ``prompt-0.safetensors`` and so on, and Wan's negative prompt into ``negative.safetensors``.

    Args:
        out: Takes the files.
        text: The encoder.
        prompts: In order.
        device: Where it runs; auto = a GPU if there is one.

    Returns:
        The exit code, 0.

    Raises:
        InputError: If a file is missing or broken, or the place cannot be written to.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    named = {"negative": NEGATIVE_PROMPT, **{f"prompt-{number}": prompt for number, prompt in enumerate(prompts)}}
    embeddings = encode_prompts([*named.values()], text, device)
    for name, prompt in named.items():
        write_prompt(out / f"{name}.safetensors", prompt, embeddings[prompt])
        sys.stdout.write(f"{out / name}.safetensors: {len(embeddings[prompt])} tokens\n")
    return 0
