"""Is a checkpoint one of this model?"""

from collections.abc import Mapping

from torch import Tensor

from mvt4g.types import InputError

SHOWN_KEYS = 3
"""Weights that are named when a checkpoint does not fit."""


def check_weights(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint's weights are those of a model.

    Raises:
        InputError: Naming the first weights that are missing, unknown, or of another size.
    """
    wrong = [f"{key}: got none, want one" for key in wanted if key not in found]
    wrong += [f"{key}: got one, want none" for key in found if key not in wanted]
    wrong += [
        f"{key}: got {tuple(found[key].shape)}, want {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]
    if wrong:
        others = f" (and {len(wrong) - SHOWN_KEYS} others)" if len(wrong) > SHOWN_KEYS else ""
        raise InputError(f"--ckpt_path: weights of another model: {'; '.join(wrong[:SHOWN_KEYS])}{others}")
