"""Check that a checkpoint is one of this model."""

from collections.abc import Mapping

from jaxtyping import Shaped
from torch import Tensor

from mvt4g.formats.weights import name_faults
from mvt4g.types import InputError


def check_weights(
    found: Mapping[str, Shaped[Tensor, "..."]],
    wanted: Mapping[str, Shaped[Tensor, "..."]],
) -> None:
    """Check that a checkpoint's weights are those of a model.

    Raises:
        InputError: Naming the first weights that are missing, unexpected or mis-shaped.
    """
    if faults := name_faults(found, wanted):
        raise InputError(f"--ckpt_path: got weights of another model: {faults}")
