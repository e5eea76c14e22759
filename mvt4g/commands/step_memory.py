"""Memory of a training step, counted and not measured: no device of that size and no weights are needed.

A step runs on fake tensors, which have shapes and no numbers. After every operation the bytes of all living tensors are
added up; the peak is their largest sum within a step, the optimizer's state being there before.

What a GPU needs on top is not counted: CUDA's context, workspaces of matmul and attention, gaps between allocations
(2 to 4 GiB together is usual). Nor is the codec. Fake tensors lie on the CPU, whose autocast and fused attention round
and keep what CUDA's do.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mvt4g.losses import correspondence
from mvt4g.models.codec import Codec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking import head
from mvt4g.types import Cameras, Conditions, LatentGrid, PointTruth, TapRequest

GIB = 2**30


class LiveBytes(TorchDispatchMode):
    """Adds up the bytes of all living tensors after every operation; ``peak`` is the largest sum since it was 0."""

    def __init__(self) -> None:
        super().__init__()
        self.living: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        self.sizes: dict[int, int] = {}
        self.total = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and look; FSDP2 shrinks and grows storages in place, its operations call for a recount."""
        result = func(*args, **(kwargs or {}))
        for storage in storages(tree_leaves(result)):
            if id(storage) not in self.sizes:
                self.living.add(storage)
                weakref.finalize(storage, self._forget, id(storage))
                self._resize(storage)
        if func.namespace in ("fsdp", "c10d", "_c10d_functional"):
            for storage in self.living:
                self._resize(storage)
        self.peak = max(self.peak, self.total)
        return result

    def _resize(self, storage: torch.UntypedStorage) -> None:
        self.total += storage.nbytes() - self.sizes.get(id(storage), 0)
        self.sizes[id(storage)] = storage.nbytes()

    def _forget(self, key: int) -> None:
        self.total -= self.sizes.pop(key)


def storages(values: Iterable[Any]) -> list[torch.UntypedStorage]:
    """Return the storages of the tensors among ``values``, of a sliced one that of this rank's slice."""
    found = []
    for value in values:
        local = getattr(value, "_local_tensor", value)
        if isinstance(local, Tensor):
            found.append(local.untyped_storage())
    return found


def gib(tensors: Iterable[Any]) -> float:
    """Return how much tensors take, GiB."""
    return sum(storage.nbytes() for storage in set(storages(tensors))) / GIB


class LatentsOnly(Codec):
    """Stands where a codec would: latents are given."""

    def __init__(self, grid: LatentGrid) -> None:
        super().__init__()
        self.grid = grid


class StepBatch(NamedTuple):
    """What a training step starts from."""

    latents: Float[Tensor, "b v c f h w"]
    cameras: Cameras
    queries: Float[Tensor, "b q 4"]
    text: Float[Tensor, "b l text_d"]


class BatchSize(NamedTuple):
    """How large a batch is: clips, frames of video, rows and columns of a picture, query points a clip."""

    clips: int
    frames: int
    size: Sequence[int]
    queries: int


def step_batch(model: NovelViewModel, shape: BatchSize) -> StepBatch:
    """Return latents, cameras, queries and text of a batch."""
    grid = model.backbone.grid
    rows, columns = shape.size
    latent_frames = grid.latent_frames(shape.frames)
    size = (latent_frames, rows // grid.spatial_stride, columns // grid.spatial_stride)
    latents = torch.randn(shape.clips, 2, grid.channels, *size)
    repeats = (shape.clips, 2, shape.frames, 1, 1)
    cameras = Cameras(torch.eye(4).repeat(repeats), torch.eye(3).repeat(repeats))
    text = torch.randn(shape.clips, *model.backbone.text_shape)
    return StepBatch(latents, cameras, torch.rand(shape.clips, shape.queries, 4), text)


def step_loss(
    model: NovelViewModel,
    batch: StepBatch,
    layers: Sequence[int],
    corr: correspondence.CorrespondenceLoss | None,
) -> Float[Tensor, ""]:
    """Return a loss in which everything that a step trains has its part.

    Args:
        model: On fake tensors.
        batch: Likewise.
        layers: Whose taps are asked for; the head's is among them.
        corr: L_corr; None = not trained.
    """
    reference, target = batch.latents.unbind(1)
    conditions = Conditions(batch.text)
    output = model.backbone(target, reference, torch.rand(len(target)), batch.cameras, conditions, TapRequest(layers))
    tracks = torch.rand(len(target), 2, batch.latents.shape[3], batch.queries.shape[1], 2)
    tracked = tracks.new_zeros(())
    if model.tracking_head is not None:
        prediction = model.track(output.taps, batch.queries, batch.cameras)
        tracks = prediction.tracks[-1]
        tracked = tracks.mean() + prediction.visible_logit.mean() + prediction.confidence_logit.mean()
    total = output.velocity.square().mean()
    if corr is not None:
        visible = torch.ones(tracks.shape[:-1], dtype=torch.bool)
        frames = torch.arange(tracks.shape[2])
        truth = PointTruth(batch.queries, tracks.detach(), visible, visible[:, 0, 0], frames, (0, 0))
        total = total + corr(output.taps, truth).total.mean()
    return total + tracked


@contextmanager
def without_numbers() -> Iterator[None]:
    """Leave out the checks that look at numbers, which fake tensors do not have."""

    def check_nothing(tap: Any, queries: Any) -> None:
        pass

    with (
        patch.object(head, "check_readable", check_nothing),
        patch.object(correspondence, "check_readable", check_nothing),
    ):
        yield


def count_step(
    model: NovelViewModel,
    shape: BatchSize,
    layers: Sequence[int],
    corr: correspondence.CorrespondenceLoss | None,
    make_optimizer: Callable[[list[nn.Parameter]], Optimizer],
    autocast: torch.dtype | None,
) -> dict[str, float]:
    """Return GiB of one device that holds the whole model, by what they hold, and the peak of a step.

    Args:
        model: On the meta device; its parameters are replaced by fake ones.
        shape: Of the batch.
        layers: As ``step_loss`` takes them.
        corr: Likewise.
        make_optimizer: Builds the optimizer from what trains.
        autocast: Arithmetic of mixed precision; None = fp32.
    """
    counter = LiveBytes()
    with without_numbers(), FakeTensorMode(allow_non_fake_inputs=True), counter:
        model.to_empty(device="cpu")
        trained = [value for value in model.parameters() if value.requires_grad]
        optimizer = make_optimizer(trained)
        average = []
        for value in trained:
            average.append(value.detach().clone())
            value.grad = torch.zeros_like(value)
        gradients = gib(value.grad for value in trained)
        # The optimizer makes its state in its first step, which is none of those that are counted.
        optimizer.step()
        state = gib(tree_leaves(list(optimizer.state.values())))
        optimizer.zero_grad()
        batch = step_batch(model, shape)
        counter.peak = 0
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            loss = step_loss(model, batch, layers, corr)
        loss.backward()
        optimizer.step()
        held = {
            "weights": gib(model.parameters()),
            "average (EMA)": gib(average),
            "gradients": gradients,
            "optimizer": state,
        }
    peak = counter.peak / GIB
    return {**held, "activations at the peak": peak - sum(held.values()), "peak": peak}
