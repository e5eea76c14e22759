"""``mvt4g encode-prompts``: embeddings of prompts in files, for sampling with guidance."""

import sys
from pathlib import Path

from mvt4g.formats.latent_file import write_prompt
from mvt4g.models.pretrained import choose_device
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
    names = {"negative": NEGATIVE_PROMPT}
    for number, prompt in enumerate(prompts):
        names[f"prompt-{number}"] = prompt
    embeddings = encode_prompts(list(names.values()), text, choose_device(device))
    for name, prompt in names.items():
        write_prompt(out / f"{name}.safetensors", prompt, embeddings[prompt])
        sys.stdout.write(f"{out / name}.safetensors: {len(embeddings[prompt])} tokens\n")
    return 0
