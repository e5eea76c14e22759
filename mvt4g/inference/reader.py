"""A trained model out of a run's configuration and a file of weights: no trainer, no parser, no datamodule.

The configuration is the ``config.yaml`` that a fit leaves, or any file for the command line that says a whole model.
``model.init_args`` of ``NovelViewSystem`` and of ``MultiViewTracking`` serve alike: backbone, codec, flow, tracking
head and adapters have one name in both. The system's class itself is not imported.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.formats.checkpoint_files import check_whole, step_checkpoints
from mvt4g.formats.parsing.layered_yaml import read_layered
from mvt4g.formats.weights import name_faults, read_weights, tensors_of
from mvt4g.inference.saved_config import build_arguments, build_class, build_value, mapping_at
from mvt4g.models.backbone import NovelViewBackbone, check_channels
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.lifted_view import LIFTED_VIEW, check_lifted_view
from mvt4g.models.layers.lora import LoRASpec, add_lora
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.pretrained import usable_device
from mvt4g.models.shipped import PREFIX as BUILTIN
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.types import InputError, TapShape

PREFIX = "model."
"""Where the checkpoint of a system keeps its model."""
HEAD = "tracking_head."
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Arithmetic of the trainer's mixed precisions; that of every other precision is fp32."""
STEP_SPECS = ("training", "tracker_training")
"""Options of a system that may name adapters."""


@dataclass(frozen=True)
class TrainedModel:
    """A model that is ready to run, and what its configuration says beside it.

    Attributes:
        model: In evaluation mode, on its device.
        options: ``model.init_args`` of the configuration.
        where: What messages call them.
        autocast: Arithmetic of the run's mixed precision; None = fp32.
    """

    model: NovelViewModel
    options: Mapping[str, Any]
    where: str
    autocast: torch.dtype | None


Built = TypeVar("Built", bound="FromFiles")


class FromFiles(ABC):
    """What can be built of a trained model's files."""

    @classmethod
    def from_run(
        cls: type[Built],
        run: str | Path,
        checkpoint: str | Path = "last",
        device: str | torch.device | None = None,
    ) -> Built:
        """Read the model of a run.

        Args:
            run: The folder that ``fit`` wrote to.
            checkpoint: "last", which is the last whole checkpoint of the run, or the path of any other.
            device: Where the model goes; None = a GPU, if there is one.

        Raises:
            InputError: If there is no run or no whole checkpoint, or as ``from_weights``.
        """
        return cls._of(read_run(run, checkpoint, device))

    @classmethod
    def from_weights(
        cls: type[Built],
        config: str | Path,
        weights: str | Path,
        device: str | torch.device | None = None,
    ) -> Built:
        """Read a model whose configuration and weights are files of their own.

        Args:
            config: YAML for the command line that says a whole ``model``.
            weights: The checkpoint of a fit, or weights that its backbone can start from, which bring no tracking head.
            device: Where the model goes; None = a GPU, if there is one.

        Raises:
            InputError: If a file is missing or bad, a class is not allowed, the weights are those of another model, or
                the model is none for this.
        """
        return cls._of(read_model(config, weights, device))

    @classmethod
    @abstractmethod
    def _of(cls: type[Built], trained: TrainedModel) -> Built:
        """Build it of a model and of the options in its configuration."""


def read_run(
    run: str | Path,
    checkpoint: str | Path = "last",
    device: str | torch.device | None = None,
) -> TrainedModel:
    """Read the model of a run.

    Args:
        run: The folder that ``fit`` wrote to.
        checkpoint: "last", which is the last whole checkpoint of the run, or the path of any other.
        device: Where the model goes; None = a GPU, if there is one.

    Raises:
        InputError: If there is no run or no whole checkpoint, or as ``read_model``.
    """
    run = Path(run)
    config = run / "config.yaml"
    if not config.is_file():
        raise InputError(f"{run}: got no config.yaml in it, want the folder of a run that was fitted")
    weights = _last_whole(run) if str(checkpoint) == "last" else checkpoint
    return read_model(config, weights, device)


def read_model(
    config: str | Path,
    weights: str | Path,
    device: str | torch.device | None = None,
) -> TrainedModel:
    """Read a model whose configuration and weights are files of their own.

    Args:
        config: YAML for the command line that says a whole ``model``.
        weights: The checkpoint of a fit, of which the exponential average counts where there is one, as it does in
            ``predict``; or any file that the backbone can start from, or ``builtin:NAME``, after which the model has
            no tracking head.
        device: Where the model goes; None = a GPU, if there is one.

    Raises:
        InputError: If a file is missing or bad, a class is not allowed, or the weights are those of another model.
    """
    config = Path(config)
    weights = Path(weights)
    content = read_layered(config, "the configuration of a run")
    if not isinstance(content, dict):
        raise InputError(f"{config}: got {type(content).__name__}, want the configuration of a run")
    where = f"{config}: model.init_args"
    options = mapping_at(mapping_at(content, "model", str(config)), "init_args", f"{config}: model")
    place = usable_device(device, "device")
    trained = _weights_of_fit(weights)
    with torch.random.fork_rng(devices=[]):
        # What a base lacks, such as the part of the Plücker rays, starts as it does on the command line.
        torch.manual_seed(_seed_of(content))
        if trained is None:
            model = build_model({**options, "tracking_head": None}, where, weights)
        else:
            model = build_model(_without_absent_head(options, trained.weights), where)
            check_lifted_view(trained.told, model.lifted_view, str(weights))
            _load(model, trained.weights, weights)
    model.eval().requires_grad_(False)
    precision = str(mapping_at(content, "trainer", str(config)).get("precision"))
    return TrainedModel(model.to(place), options, where, AUTOCAST.get(precision))


def build_model(
    options: Mapping[str, Any],
    where: str,
    weights: Path | None = None,
    make_codec: Callable[[NovelViewBackbone], Codec] | None = None,
) -> NovelViewModel:
    """Return the model that ``model.init_args`` of a configuration say.

    Args:
        options: Of the system.
        where: What messages call them.
        weights: Those that the backbone starts from, in place of the ones in its options; None = none.
        make_codec: Gives a codec for the backbone, in place of the one in the options.

    Raises:
        InputError: If backbone or codec is missing, or as ``build_value``.
    """
    for name in ("backbone", "codec"):
        if not isinstance(options.get(name), dict):
            raise InputError(f"{where}: got no {name}, want the configuration of a novel-view model")
    backbone = build_class(_starting_from(options["backbone"], weights), NovelViewBackbone, f"{where}.backbone")
    codec = build_class(options["codec"], Codec, f"{where}.codec") if make_codec is None else make_codec(backbone)
    flow_options = build_arguments(FlowMatching, mapping_at(options, "flow", where), f"{where}.flow")
    flow = FlowMatching(**flow_options)
    head_type = Callable[[TapShape], TrackingHead] | None
    make_head = build_value(head_type, options.get("tracking_head"), f"{where}.tracking_head")
    head = None if make_head is None else make_head(backbone.tap_shape)
    for name in STEP_SPECS:
        adapters = mapping_at(options, name, where).get("lora")
        if adapters is not None:
            add_lora(backbone, build_value(LoRASpec, adapters, f"{where}.{name}.lora"))
    check_channels(backbone)
    return NovelViewModel(backbone, codec, flow, head)


@contextmanager
def running(
    model: NovelViewModel,
    autocast: torch.dtype | None,
) -> Iterator[torch.device]:
    """Run a block without gradients in the arithmetic of a run, and give the model's device."""
    device = next(model.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
        yield device


def _seed_of(content: Mapping[str, Any]) -> int:
    """Return ``seed_everything``, or the command line's default where it is no seed."""
    seed = content.get("seed_everything")
    return seed if isinstance(seed, int) and 0 <= seed < 2**32 else 0


def _last_whole(run: Path) -> Path:
    """Return the last checkpoint of a run that is not damaged; a damaged one after it is warned of."""
    damage = []
    for path in [*step_checkpoints(run).values()][::-1]:
        try:
            check_whole(path, "checkpoint")
        except InputError as error:
            damage.append(str(error))
            continue
        for told in damage:
            warnings.warn(f"{told}; going on from {path.name}", stacklevel=2)
        return path
    nothing = f"{run / 'checkpoints'}: got no checkpoint, want a run that was fitted"
    raise InputError(damage[0] if damage else nothing)


class _FitWeights(NamedTuple):
    """Weights of a fit's model, with its average where there is one, and what its checkpoint says beside them."""

    weights: dict[str, Tensor]
    told: dict[str, Any]


def _weights_of_fit(path: Path) -> _FitWeights | None:
    """Return the weights of a fit; None where the file is no fit's."""
    if str(path).startswith(BUILTIN) or path.suffix == ".safetensors":
        return None
    content = read_weights(path)
    if not isinstance(content, Mapping) or not {"state_dict", "global_step"} <= content.keys():
        return None
    content = check_whole(path, "weights")
    state = tensors_of(content["state_dict"], path)
    callbacks = content.get("callbacks")
    ema = callbacks.get("EMA") if isinstance(callbacks, Mapping) else None
    average = ema.get("average") if isinstance(ema, Mapping) else None
    if average:
        state |= tensors_of(average, path)
    weights = {}
    for name, value in state.items():
        if name.startswith(PREFIX):
            weights[name.removeprefix(PREFIX)] = value
    return _FitWeights(weights, {LIFTED_VIEW: content.get(LIFTED_VIEW)})


def _without_absent_head(
    options: Mapping[str, Any],
    weights: Mapping[str, Shaped[Tensor, "..."]],
) -> dict[str, Any]:
    """Return the options without a tracking head where the weights have none: an untrained one tracks nothing."""
    if any(name.startswith(HEAD) for name in weights):
        return dict(options)
    return {**options, "tracking_head": None}


def _load(
    model: NovelViewModel,
    weights: Mapping[str, Shaped[Tensor, "..."]],
    path: Path,
) -> None:
    if faults := name_faults(weights, model.state_dict()):
        raise InputError(f"{path}: got weights of another model than the configuration's: {faults}")
    model.load_state_dict(dict(weights))


def _starting_from(spec: Mapping[str, Any], weights: Path | None) -> dict[str, Any]:
    """Return a backbone's options with other weights to start from; a fit's checkpoint holds them all."""
    arguments = dict(spec.get("init_args") or {})
    arguments.pop("weights", None)
    if weights is not None:
        arguments["weights"] = str(weights)
    return {**spec, "init_args": arguments}
