"""Passes and arithmetic of a full-size sample, counted: ``python -m experiments.sampling.cost [--forward_tflop 971]``.

The forward is ReCamMaster's on two views of 81 frames of 480x832, as ``experiments.benchmarks.memory_count`` counts it
for sampling. A pass in which late blocks stand still counts by the blocks that run.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import BlockReuse, EulerSampler
from mvt4g.models.block_taps import KeptBlocks
from mvt4g.models.novel_view import SamplingGuidance

BLOCKS = 30
SHIFT = 5.0
SCALE = 5.0


class Plan(NamedTuple):
    """How a video is sampled."""

    name: str
    steps: int
    guidance: tuple[float, float]
    reuse: BlockReuse | None = None


PLANS = (
    Plan("50 steps, guidance in all (the papers')", 50, (0.0, 1.0)),
    Plan("50 steps, guidance at sigma 0.3 to 0.9", 50, (0.3, 0.9)),
    Plan("50 steps, guidance in all, blocks from 20 on in every second", 50, (0.0, 1.0), BlockReuse(20, 2)),
    Plan("25 steps, guidance in all", 25, (0.0, 1.0)),
    Plan("25 steps, guidance at sigma 0.3 to 0.9", 25, (0.3, 0.9)),
    Plan("25 steps, both, blocks from 20 on in every second", 25, (0.3, 0.9), BlockReuse(20, 2)),
)


def passes(plan: Plan) -> Iterator[float]:
    """Yield every pass of the network as the share of its blocks that run."""
    sigmas = EulerSampler(plan.steps).sigmas(FlowMatching(shift=SHIFT))
    guidance = SamplingGuidance(SCALE, None, *plan.guidance)
    kept = [None if plan.reuse is None else KeptBlocks(plan.reuse) for _ in range(2)]
    tokens = torch.zeros(1, 1, 1, 1, 1)
    for sigma in sigmas[:-1]:
        for number, plan_of_pass in enumerate(kept):
            if number == 1 and not guidance.acts(sigma[None]):
                continue
            share = 1.0
            if plan_of_pass is not None:
                plan_of_pass.begin(whole=False)
                if plan_of_pass.reached(plan_of_pass.first, tokens) is None:
                    plan_of_pass.keep(tokens)
                else:
                    share = plan_of_pass.first / BLOCKS
            yield share


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--forward_tflop", type=float, default=971.0)
    args = parser.parse_args()
    print("| plan | passes | PFLOP | share |\n|---|---:|---:|---:|")
    base = 0.0
    for plan in PLANS:
        shares = list(passes(plan))
        total = sum(shares) * args.forward_tflop / 1000
        base = base or total
        print(f"| {plan.name} | {len(shares)} | {total:.1f} | {total / base:.2f} |")


if __name__ == "__main__":
    main()
