"""``mvt4g tune``: fit a trained model a little longer, on pairs made of the one video that it is to show anew.

It is a ``fit`` whose options are settled here: all others of ``fit`` may follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mvt4g.cli.suite import start
from mvt4g.commands.parsing.config_files import read_config
from mvt4g.commands.verb_options import VerbParser
from mvt4g.formats.checkpoint_files import last_checkpoint
from mvt4g.ranges import Positive, Range, check_number, check_value
from mvt4g.types import InputError

STEPS = 50
RATE = 1e-4
WARMUP = 10
"""Steps, whatever the length, so that a tuning can be made longer."""
MOST_STEPS = 2**31 - 1
MOST_RANK = 2**20
PLANE = "plane"
DATA = "mvt4g.data.tuning_datamodule.VideoTuningDataModule"
MODEL = "--model.init_args."


def main(argv: Sequence[str]) -> int:
    """Tune, or go on with it where it was stopped; return the exit code 0.

    Args:
        argv: As after ``mvt4g tune``.

    Raises:
        InputError: If an option is missing or bad, and as ``fit``.
    """
    if "--help" in argv:  # --help all
        start(["fit", "--help"])
    start(["fit", *fit_options(argv)])
    return 0


def fit_options(argv: Sequence[str]) -> list[str]:
    """Return the command line of the fit that a command line of ``tune`` stands for.

    Raises:
        InputError: If an option is missing or bad.
    """
    given, others = _parser().parse_known_args(list(argv))
    for name, wanted in (("-c", "config"), ("--video", "video"), ("--run", "run")):
        if not getattr(given, wanted):
            want = {"-c": "the configuration of the model, such as RUN/config.yaml", "--video": "the video to tune on"}
            raise InputError(f"{name}: got none, want {want.get(name, 'the folder that takes everything written')}")
    check_number("--steps", given.steps, Range(1, MOST_STEPS))
    check_value("--lr", given.lr, Positive)
    configs = [Path(path) for path in given.config]
    contents = [read_config(path) for path in configs]
    options = []
    for path in given.config:
        options += ["-c", path]
    # After the configurations: that of a run names its own folder.
    options += ["--run", given.run, "--ckpt_path", "last", "--checkpoint_every", "25"]
    options += [
        f"--trainer.max_steps={given.steps}", "--trainer.max_epochs=-1", "--trainer.limit_val_batches=0",
        # Those of a run may write into its folder.
        "--trainer.callbacks=[{class_path: mvt4g.callbacks.ema.EMA}]", "--trainer.enable_progress_bar=true",
        f"--data={DATA}", f"--data.init_args.video={given.video}",
        "--data.init_args.loader={batch_size: 1, num_workers: 0}",
        f"{MODEL}tracking_head=null", f"{MODEL}objectives=[]",
        f"{MODEL}training.lifted.pairs=[double_reprojection]",
        f"{MODEL}training.warmup_steps={WARMUP}", f"{MODEL}training.decay_steps=null",
        f"{MODEL}training.optimizer={{class_path: torch.optim.AdamW, init_args: "
        f"{{lr: {given.lr}, betas: [0.9, 0.95], weight_decay: 1.0e-4}}}}",
    ]  # fmt: skip
    options += _size(contents)
    options += _weights(given.weights, configs, contents)
    options += _adapters(given.lora)
    options += _depth(given.depth, given.depth_model, [*argv])
    return [*options, *others]


def _parser() -> VerbParser:
    """Return the parser of the options that ``fit`` has not, and of those that are looked at here."""
    made = VerbParser("tune")
    made.add_argument("-c", "--config", action="append")
    made.add_argument("--video")
    made.add_argument("--run")
    made.add_argument("--steps", type=int, default=STEPS)
    made.add_argument("--weights")
    made.add_argument("--depth")
    made.add_argument("--depth_model")
    made.add_argument("--lora", type=int)
    made.add_argument("--lr", type=float, default=RATE)
    return made


def _size(contents: Sequence[Any]) -> list[str]:
    """Return the option of the video's size: that of the clips that the configurations train on.

    Raises:
        InputError: If they do not say it.
    """
    scene: Mapping[str, Any] = {}
    stride = 1
    for content in contents:
        data = _at(content, "data", "init_args")
        if "size" in data:
            return []
        scene = {**scene, **_at(data, "scene")}
        stride = _at(content, "model", "init_args", "backbone", "init_args", "grid").get("temporal_stride", stride)
    if not {"num_frames", "image_size"} <= scene.keys():
        return []  # the data module's own default, or an option that follows
    height, width = scene["image_size"]
    size = f"{{height: {height}, width: {width}, num_frames: {scene['num_frames']}, temporal_stride: {stride}}}"
    return [f"--data.init_args.size={size}"]


def _weights(given: str | None, configs: Sequence[Path], contents: Sequence[Any]) -> list[str]:
    """Return the option of the weights to start from.

    Raises:
        InputError: If there are none.
    """
    name = f"{MODEL}backbone.init_args.weights"
    if given is not None:
        if Path(given).is_dir():
            found = last_checkpoint(Path(given))
            if found is None:
                raise InputError(f"--weights: got {given} without a checkpoint, want a run that was fitted, or a file")
            return [f"{name}={found}"]
        return [f"{name}={given}"]
    for path in configs[::-1]:
        found = last_checkpoint(path.parent)
        if path.name == "config.yaml" and found is not None:
            return [f"{name}={found}"]
    for content in contents[::-1]:
        if _at(content, "model", "init_args", "backbone", "init_args").get("weights"):
            return []
    raise InputError("--weights: got none, want a checkpoint to tune, a run's folder, or builtin:tiny")


def _adapters(rank: int | None) -> list[str]:
    """Return the options of what trains: all of the backbone, or adapters and the embedding of the latents."""
    if rank is None:
        return [f"{MODEL}training.lora=null", f"{MODEL}training.trainable=null"]
    check_number("--lora", rank, Range(1, MOST_RANK))
    return [
        f"{MODEL}training.lora={{rank: {rank}, alpha: {rank}}}",
        f"{MODEL}training.trainable=[lora_, patch_embedding]",
    ]


def _depth(depth: str | None, model: str | None, argv: Sequence[str]) -> list[str]:
    """Return the options of where depth comes from, while tuning and afterwards.

    Raises:
        InputError: If two are given, or none is.
    """
    if depth is not None and model is not None:
        raise InputError(f"--depth: got {depth} beside --depth_model, want either")
    if depth is not None and depth != PLANE:
        return [f"--data.init_args.camera.depth={depth}"]
    kind = None
    if depth == PLANE:
        kind = "{kind: plane}"
    if model is not None:
        kind = f"{{kind: model, model: {model}}}"
    if kind is not None:
        return [f"{MODEL}training.lifted.depth={kind}", f"{MODEL}evaluation.depth={kind}"]
    if any("depth" in option for option in _names(argv)):
        return []
    raise InputError("--depth: got none, want a file of the video's depth, plane, or --depth_model FOLDER")


def _names(argv: Sequence[str]) -> Iterator[str]:
    """Yield the names of the options of a command line."""
    for word in argv:
        if word.startswith("--"):
            yield word.partition("=")[0]


def _at(content: Any, *keys: str) -> dict[str, Any]:
    """Return the mapping at nested keys, empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}
