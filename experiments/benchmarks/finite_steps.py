"""What it costs a training step to be looked at for values that are not finite.

    python -m experiments.benchmarks.finite_steps [--batch 8] [--points 32] [--repeats 30] [--threads 1]

The demo's model (tiny) on random video: forward, losses, backward and AdamW, with the callback's hooks and without, in
turn in one process. Times are the CPU's; on a GPU the values are looked at while the next step runs.
"""

import argparse
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from experiments.benchmarks.joint_step import FRAMES, LAYER, SIZE, Step
from experiments.measure import alternating_seconds, median_ratio
from mvt4g.callbacks.finite_steps import FiniteSteps
from mvt4g.types import MultiViewClip


class Watched:
    """A training step between the hooks of ``FiniteSteps``, as Lightning calls them."""

    def __init__(self, step: Step, batch: int) -> None:
        self.step, self.finite = step, FiniteSteps(Path("unused"))
        video = torch.rand(batch, 2, FRAMES, 3, SIZE, SIZE)
        self.clip = MultiViewClip(video=video, cameras=step.cameras, name=tuple(map(str, range(batch))))
        self.trainer: Any = SimpleNamespace(callback_metrics={}, global_step=0, precision_plugin=None)

    def run(self, looks: bool) -> None:
        """Make one step."""
        passed = self.step.forward((LAYER,))
        total = self.step.diffusion(passed) + 0.01 * self.step.track(passed.taps) + self.step.corr(passed.taps)
        self.step.optimizer.zero_grad()
        if looks:
            self.trainer.callback_metrics = {f"train/{number}": total.detach() for number in range(20)}
            self.finite.on_before_backward(self.trainer, self.module, total)
        total.backward()
        if looks:
            self.finite.on_before_optimizer_step(self.trainer, self.module, self.step.optimizer)
        self.step.optimizer.step()
        if looks:
            self.finite.on_train_batch_end(self.trainer, self.module, None, self.clip, 0)

    @property
    def module(self) -> Any:
        """What the hooks are handed and do not look at."""
        return self.step.model


def main() -> None:
    """Print the ratio of the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    watched = Watched(Step(arguments.batch, arguments.points), arguments.batch)
    times = alternating_seconds(
        {"watched": lambda: watched.run(looks=True), "plain": lambda: watched.run(looks=False)}, arguments.repeats
    )
    for name, values in times.items():
        print(f"{name:8} median {1e3 * statistics.median(values):8.1f} ms, least {1e3 * min(values):8.1f} ms")
    print(f"watched / plain: {median_ratio(times, 'watched', 'plain'):.3f}")


if __name__ == "__main__":
    main()
