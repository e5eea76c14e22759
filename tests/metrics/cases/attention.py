"""Cases of the metrics of attention."""

from functools import partial

import torch

from mvt4g.metrics.attention.attention_correspondence import AttentionCorrespondence
from mvt4g.metrics.attention.attention_pck import AttentionPCK
from mvt4g.metrics.attention.cycle_consistency import CycleConsistency
from tests.metrics.cases.case import MetricCase
from tests.truths import with_truth

STRIDE, GRID, FRAMES, QUERIES = 8, (6, 9), 3, 20
LAYERS = (2, 5)


def truth(seed: int) -> dict[str, torch.Tensor]:
    """Two clips with queries of both views; where their points are."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([GRID[1] * STRIDE, GRID[0] * STRIDE]).float()
    tracks = size * torch.rand(2, 2, FRAMES, QUERIES, 2, generator=generator)
    view, frame = (torch.randint(most, (2, QUERIES), generator=generator) for most in (2, FRAMES))
    xy = tracks[torch.arange(2)[:, None], view, frame, torch.arange(QUERIES)]
    return {
        "queries": torch.cat([torch.stack([view, 4 * frame], dim=-1).float(), xy], dim=-1),
        "target_tracks": tracks,
        "target_visible": torch.rand(2, 2, FRAMES, QUERIES, generator=generator) < 0.8,
        "query_valid": torch.rand(2, QUERIES, generator=generator) < 0.9,
        "frame_times": 4 * torch.arange(FRAMES),
    }


def cells(seed: int, truth: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cells that are right about half of the time."""
    generator = torch.Generator().manual_seed(seed)
    off = torch.randint(-1, 2, truth["target_tracks"].shape, generator=generator)
    right = torch.rand(truth["target_visible"].shape, generator=generator) < 0.4
    return (truth["target_tracks"] // STRIDE).long() + off.masked_fill(right[..., None], 0)


def attention(seed: int) -> dict:
    """What one layer finds at one step."""
    known = truth(seed)
    generator = torch.Generator().manual_seed(seed)
    mass = torch.rand(known["target_visible"].shape, generator=generator)
    return {
        "layer": LAYERS[seed % 2], "step": seed // 2 % 2, "stride": STRIDE,
        "match_cells": cells(seed, known), "mass": mass, "peak": mass * torch.rand(mass.shape, generator=generator),
        "cycle_consistent": torch.rand(mass.shape, generator=generator) < 0.7,
    } | known  # fmt: skip


def matches(seed: int) -> dict:
    known = truth(seed)
    return {"layer": LAYERS[seed % 2], "stride": STRIDE, "match_cells": cells(seed, known)} | known


def homes(seed: int) -> dict:
    """Which of seven queries of three clips come home."""
    return {"cycle_home": torch.rand(3, 2, FRAMES, 7, generator=torch.Generator().manual_seed(seed)) < 0.5}


BATCHED = ("match_cells", "queries", "target_tracks", "target_visible", "query_valid")
CASES = {
    "AttentionCorrespondence": MetricCase(
        make=partial(AttentionCorrespondence, layers=LAYERS, num_steps=2, threshold_px=4.0),
        updates=tuple(attention(seed) for seed in range(5)),
        split=(*BATCHED, "mass", "peak", "cycle_consistent"),
        half=("queries", "target_tracks", "mass", "peak"),
        arguments=with_truth,
    ),
    "AttentionPCK": MetricCase(
        make=partial(AttentionPCK, layers=LAYERS),
        updates=tuple(matches(seed) for seed in range(3)),
        split=BATCHED,
        half=("queries", "target_tracks"),
        arguments=with_truth,
    ),
    "CycleConsistency": MetricCase(
        make=partial(CycleConsistency, level="sampled"),
        updates=tuple(homes(seed) for seed in range(3)),
        split=("cycle_home",),
    ),
}
