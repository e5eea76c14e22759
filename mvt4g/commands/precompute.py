"""``mvt4g precompute``: clips of any source encoded once, resumably; training runs neither codec nor encoders then."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Subset

from mvt4g import __version__
from mvt4g.commands.resumable import SAVE_EVERY_S, clip_progress, locked, read_begun
from mvt4g.data.clip_sources import OpenSource, SourceSpec, open_path
from mvt4g.data.crops import CropSpec
from mvt4g.data.frame_rates import FrameSpec, play_backwards
from mvt4g.data.kubric import SyntheticClips
from mvt4g.data.loading import raise_if_error
from mvt4g.data.samples import HeldOutClips, SamplingSpec
from mvt4g.data.worker_signals import leave_signals_to_parent
from mvt4g.formats.atomic import is_leftover
from mvt4g.formats.captions import read_captions
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.latent_file import FILE, prompt_path, read_latents, write_latents, write_prompt
from mvt4g.formats.manifest import (
    MANIFEST,
    Manifest,
    record_files,
    sizes_agree,
    write_manifest,
)
from mvt4g.models.codec import Codec, PatchCodec
from mvt4g.models.image_tokens import ImageEncoder
from mvt4g.models.pretrained import DTYPES, choose_device
from mvt4g.models.text import NEGATIVE_PROMPT, TextEncoderSpec, encode_prompts
from mvt4g.ranges import Count, Natural, Points, Seed
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, InputError, LatentClip, MultiViewClip

EXIT_BAD_ITEMS = 2
SPLIT = "clips"
"""The one split that the manifest of a cache has."""
TRAIN = "train/"
"""Folder of MultiCamVideo from which its captions name the videos."""
NEGATIVE = "negative"
"""Name of the file beside the captions' that holds what guidance leads away from."""


@dataclass(frozen=True)
class CacheSpec:
    """What is taken of each clip, and how it is kept.

    Attributes:
        frames: How many, from the first on; the codec's temporal_stride * m + 1. Null = all of the clip.
        crop: The middle of the frames, at this size. Null = as they are.
        num_points: Points kept, of those that are visible; null = all, which clips of different numbers do not batch.
        most: Clips at most; null = all there are. Of generated scenes, the number.
        seed: Of generated scenes, and of the points that are kept.
        backwards: Encode clips played backwards. Where the codec is causal in time, their latents are no reversal of
            the others. ReDirector trains on as many clips of either kind: two caches below one folder.
        dtype: What latents, image tokens and prompts are kept in.
        part: Encode every ``parts``-th clip from this one on, each part into a folder of its own: one for each GPU.
        parts: How many share the work.
    """

    frames: FrameSpec = FrameSpec()
    crop: CropSpec = CropSpec()
    num_points: Points | None = None
    most: Count | None = None
    seed: Seed = 0
    backwards: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    part: Natural = 0
    parts: Count = 1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a number is out of range, or there is a share of clips to play backwards.
        """
        if self.frames.reversed:
            got = f"cache.frames.reversed: got {self.frames.reversed}"
            raise InputError(f"{got}, want 0: clips are encoded once (cache.backwards plays all of them backwards)")
        if (self.most is not None and self.most < 1) or self.seed < 0 or not 0 <= self.part < self.parts:
            got = f"{self.most}, {self.seed}, {self.part}, {self.parts}"
            raise InputError(f"cache.most, seed, part, parts: got {got}, want most >= 1, seed >= 0, 0 <= part < parts")


def precompute(
    out: Path,
    codec: Codec | None = None,
    source: SourceSpec = SourceSpec(),
    scene: SceneSpec = SceneSpec(),
    cache: CacheSpec = CacheSpec(),
    text: TextEncoderSpec | None = None,
    image_encoder: Path | None = None,
    workers: int = 0,
    device: str = "auto",
    captions: Path | None = None,
) -> int:
    """Encode clips into a folder to train from. A run that was stopped goes on when the same command is given again.

    A clip that is broken or does not fit the codec is left out and listed; the others are encoded.

    Latents, cameras, tracks and image tokens of all views are kept, so that any pair of views can be drawn later.
    Captions are encoded after the videos, each once, so that the text encoder is never in memory beside the codec.

    Args:
        out: Takes a folder for each clip, prompts/ and manifest.json. It must be empty, or hold clips made alike.
        codec: Makes the latents; null = PatchCodec.
        source: A path in any known format, or generated scenes.
        scene: Recipe of generated scenes.
        cache: What is taken of each clip, and how it is kept.
        text: Encodes captions, Wan's negative prompt and the empty one; null = no text.
        image_encoder: CLIP's weights, for backbones that look at an image; null = no image tokens.
        workers: Processes that read or generate clips.
        device: Where the networks run; auto = a GPU if there is one.
        captions: A CSV ``file_name,text`` of videos, as MultiCamVideo's ``metadata.csv``, instead of the clips' own
            captions; a clip of several videos has the text of the first row below it.

    Returns:
        The exit code: 0, or 2 if clips were left out; then stderr has one line for each, with its reason.

    Raises:
        InputError: If all clips are left out, one is without a caption where there are captions, or the
            folder holds other things.
    """
    codec = codec or PatchCodec()
    device = choose_device(device)
    clips = _open(source, scene, cache)
    indices = range(cache.part, len(clips), cache.parts)
    with locked(out, "precompute"):
        made_by = _made_by(codec, source, scene, cache, text, {"image": image_encoder, "captions": captions})
        texts = None
        if captions is not None:
            names = clips.sources[0].clips.names
            texts = _read_texts(captions, [names[index] for index in indices])
        manifest = _begin(out, made_by, len(indices))
        encoder = None if image_encoder is None else ImageEncoder(image_encoder, "bfloat16").to(device)
        encoders = _Encoders(codec.to(device), encoder, texts)
        made, bad = _encode_missing(out, manifest, clips, indices, encoders, cache, workers)
        # Together with the text encoder they may take more than the device has.
        del encoder, encoders
        codec.cpu()
        if text is not None:
            _encode_captions(out, text, device, DTYPES[cache.dtype])
    return _report(out, len(indices), made, bad)


def _report(out: Path, count: int, made: int, bad: Mapping[str, str]) -> int:
    """Say what was encoded and what was not, and return the exit code.

    Raises:
        InputError: If nothing could be encoded, of the first clip.
    """
    told = f", {len(bad)} failed" if bad else ""
    sys.stdout.write(f"{out}: {count} clips, {made} of them encoded now{told}; {MANIFEST} lists them\n")
    if bad and len(bad) == count:
        more = f"; {count - 1} more clips failed likewise, and no other is there" if count > 1 else ""
        raise InputError(f"{next(iter(bad.values()))}{more}")
    for name, reason in bad.items():
        sys.stderr.write(f"mvt4g: {name}: {reason}\n")
    return EXIT_BAD_ITEMS if bad else 0


@dataclass(frozen=True)
class _Encoders:
    codec: Codec
    image: ImageEncoder | None
    captions: Mapping[str, str] | None

    @torch.no_grad()
    def __call__(self, name: str, clip: MultiViewClip) -> LatentClip:
        try:
            latents = self.codec.encode(clip.video.to(_device_of(self.codec)))
        except InputError as error:
            raise InputError(f"{clip.name}: {error}") from error
        return LatentClip(
            latents=latents,
            cameras=clip.cameras,
            codec=self.codec.identity,
            name=clip.name,
            tracks=clip.tracks,
            visible=clip.visible,
            point_valid=clip.point_valid,
            image=None if self.image is None else self.image(clip.video[:, 0]),
            caption=(clip.caption or "") if self.captions is None else self.captions[name],
        )


def _device_of(codec: Codec) -> torch.device:
    tensors = (*codec.parameters(), *codec.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


def _open(source: SourceSpec, scene: SceneSpec, cache: CacheSpec) -> HeldOutClips:
    """Return the clips as they will be encoded, all their views."""
    if source.path is None:
        if cache.most is None:
            raise InputError("cache.most: got null for generated scenes, want how many")
        opened = OpenSource("", SyntheticClips(source.scene or scene, "train", cache.most, cache.seed))
    else:
        opened = OpenSource(source.called, open_path(source.path, source.format), root=source.path)
    spec = SamplingSpec(frames=cache.frames, crop=cache.crop, num_points=cache.num_points)
    return HeldOutClips([opened], spec, cache.seed, cache.most or len(opened.clips), all_views=True)


def _made_by(
    codec: Codec,
    source: SourceSpec,
    scene: SceneSpec,
    cache: CacheSpec,
    text: TextEncoderSpec | None,
    files: Mapping[str, Path | None],
) -> dict[str, Any]:
    """Return all that the cache depends on, as it comes back from JSON."""
    taken = asdict(cache)
    del taken["most"]  # more clips may be asked for later
    made_by: dict[str, Any] = {
        "command": "precompute",
        "codec": codec.identity,
        "codec_settings": codec.settings,
        "grid": asdict(codec.grid),
        "source": asdict(source.scene or scene) if source.path is None else str(source.path.resolve()),
        "cache": taken,
        "text": text and {"weights": _digests(text.weights), "length": text.length, "dtype": text.dtype},
        "versions": {"mvt4g": __version__, "torch": version("torch")},
    }
    for name, path in files.items():
        made_by[name] = None if path is None else _digests(path)
    content: dict[str, Any] = json.loads(json.dumps(made_by, default=str))
    return content


def _read_texts(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the text of every clip.

    Raises:
        InputError: If one has none.
    """
    captions = read_captions(path)
    texts = {}
    missing = []
    for name in names:
        text = captions.of(name) or captions.of(name.removeprefix(TRAIN))
        if text is None:
            missing.append(name)
        else:
            texts[name] = text
    if missing:
        raise InputError(f"{path}: got no text of {missing[0]} ({len(missing)} clips have none), want a row for each")
    return texts


def _digests(path: Path) -> dict[str, str]:
    """Return the checksum of a file, or of every file of a folder: by it a fine-tuned encoder is told from another."""
    if not path.is_dir():
        return {path.name: sha256_of(path)}
    files = sorted(filter(Path.is_file, path.iterdir()))
    return {file.name: sha256_of(file) for file in files}


def _begin(out: Path, made_by: dict[str, Any], count: int) -> Manifest:
    """Return the manifest of a folder that is new, or was begun alike.

    Raises:
        InputError: If it holds something else, or clips made otherwise.
    """
    manifest = read_begun(out, made_by, "the cache")
    if manifest is None:
        manifest = Manifest(made_by, {SPLIT: count}, {})
    else:
        manifest = replace(manifest, splits={SPLIT: max(count, manifest.splits.get(SPLIT, 0))})
    for leftover in list(filter(is_leftover, out.rglob("*"))):
        leftover.unlink()
    write_manifest(out, manifest)
    return manifest


def _encode_missing(
    out: Path,
    manifest: Manifest,
    clips: HeldOutClips,
    indices: range,
    encoders: _Encoders,
    cache: CacheSpec,
    workers: int,
) -> tuple[int, dict[str, str]]:
    """Encode what is not there and keep the manifest up to date whatever happens.

    Returns:
        How many were encoded, and why others could not be, by name.
    """
    names = clips.sources[0].clips.names
    done = dict(manifest.clips)
    missing = []
    for index in indices:
        name = names[index]
        if name not in done and (out / name / FILE).is_file():
            done[name] = record_files(out / name)  # it appeared whole, after the manifest was last written
        if name not in done or not sizes_agree(out / name, done[name]):
            missing.append(index)
    bad = {}
    saved = time.monotonic()
    try:
        with clip_progress(len(indices), len(indices) - len(missing)) as progress:
            for index, clip in zip(missing, _read(clips, missing, workers, cache.backwards), strict=True):
                name = names[index]
                try:
                    latents = encoders(name, raise_if_error(clip))
                except InputError as error:
                    bad[name] = " ".join(str(error).split())
                    continue
                write_latents(out / name / FILE, latents, DTYPES[cache.dtype])
                done[name] = record_files(out / name)
                progress.advance(progress.task_ids[0])
                if time.monotonic() - saved > SAVE_EVERY_S:
                    write_manifest(out, replace(manifest, clips=done))
                    saved = time.monotonic()
    finally:
        write_manifest(out, replace(manifest, clips=done))
    return len(missing) - len(bad), bad


def _read(
    clips: HeldOutClips, indices: list[int], workers: int, backwards: bool
) -> Iterator[MultiViewClip | InputError]:
    """Yield clips in order, or what is wrong with them, read ahead by ``workers`` processes.

    Args:
        clips: All.
        indices: Which.
        workers: Processes.
        backwards: Play them backwards.
    """
    chosen = Subset(clips, indices)
    for clip in DataLoader(chosen, None, num_workers=workers, worker_init_fn=leave_signals_to_parent):
        yield play_backwards(clip) if backwards and not isinstance(clip, InputError) else clip


def _encode_captions(out: Path, text: TextEncoderSpec, device: str, dtype: torch.dtype) -> None:
    """Encode every caption of the cache that is not encoded yet, the empty one, and what guidance leads away from."""
    captions = {"": prompt_path(out, ""), NEGATIVE_PROMPT: prompt_path(out, NEGATIVE_PROMPT).with_stem(NEGATIVE)}
    for file in out.rglob(FILE):
        caption = read_latents(file, [REFERENCE]).caption
        if isinstance(caption, str):
            captions[caption] = prompt_path(out, caption)
    missing = [caption for caption, path in captions.items() if not path.is_file()]
    if missing:  # the encoder itself is large
        for caption, embedding in encode_prompts(missing, text, device).items():
            write_prompt(captions[caption], caption, embedding, dtype)
