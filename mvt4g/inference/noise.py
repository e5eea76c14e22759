"""Random draws that depend on what is computed and never on what ran before it."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def generator_for(*key: int) -> torch.Generator:
    """Return a CPU generator that ``key`` alone decides: (seed, global step, micro-batch, rank) in training."""
    # A seed sequence takes no negative numbers: each part is cut to 32 bits.
    seed = np.random.SeedSequence([part & 0xFFFFFFFF for part in key]).generate_state(2)
    return torch.Generator().manual_seed(int(seed[0]) << 32 | int(seed[1]))


def name_key(name: str) -> int:
    """Return a number for a clip's name, the same in every process."""
    return zlib.crc32(name.encode())


def clip_noise(
    names: Sequence[str],
    seed: int,
    shape: Sequence[int],
    device: torch.device,
    window: int = 0,
) -> Float[Tensor, "b ..."]:
    """Return unit noise (b, *shape) that follows each clip's name: batch size, order and rank change nothing.

    Args:
        names: Of the clips.
        seed: Of the draws.
        shape: Of one clip's.
        device: Where it goes.
        window: Number of the window of a long video, whose first has the noise of a video without windows.
    """
    more = (window,) if window else ()
    noise = [torch.randn(*shape, generator=generator_for(seed, name_key(name), *more)) for name in names]
    return torch.stack(noise).to(device)
