"""How the clips of a test are shared out among ranks."""

from typing import Any

from torch.utils.data import DistributedSampler

from mvt4g.data.shares import ShareSampler
from mvt4g.types import InputError


def check_shares(loaders: Any) -> None:
    """Check that all ranks have as many clips: Lightning fills up the shares with the first ones, which count twice.

    Ranks that slice the parameters run in step, so none may have a batch less.

    Args:
        loaders: The trainer's, of a test whose scores are sums over clips.

    Raises:
        InputError: If the number of ranks does not divide the clips.
    """
    for loader in loaders if isinstance(loaders, list | tuple) else [loaders]:
        sampler = getattr(loader, "sampler", None)
        if not isinstance(sampler, DistributedSampler) or isinstance(sampler, ShareSampler):
            continue  # our own datamodules' repeats nothing that counts
        got = len(sampler.dataset)  # type: ignore[arg-type]  # what is sampled has a length
        ranks = sampler.num_replicas
        if got % ranks:
            told = f"data: got {got} clips on {ranks} ranks, want a multiple of {ranks}"
            raise InputError(f"{told}: some would count twice")
