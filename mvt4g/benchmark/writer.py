"""The files that ``mvt4g benchmark generate`` leaves for every video, camera and seed, and their manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.benchmark.claims import Claims
from mvt4g.benchmark.manifest import ASKED, MANIFEST, MISSING, Manifest, write_manifest
from mvt4g.benchmark.outcome import BenchmarkOutcome
from mvt4g.benchmark.records import VideoPlace, entries_of, remove_leftovers
from mvt4g.callbacks.checkpoints import say
from mvt4g.callbacks.prediction_writer import frame_rate
from mvt4g.callbacks.provenance import provenance, source_cameras
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.data.asked_views import AskedView, AsksForViews
from mvt4g.data.target_cameras import target_cameras
from mvt4g.evaluation.real_video import NovelView
from mvt4g.formats.atomic import appearing
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.types import InputError

CONFIG = "config.yaml"
_TAKEN_OVER = ("source", "crop_xyxy", "scale_xy", "rule", "checkpoint", "sampler", "steps", "versions")
"""Fields of the manifest that are as in ``provenance.json``."""


@dataclass(frozen=True)
class BenchmarkPlan:
    """What is asked for.

    Attributes:
        folder: Of the method, below ``--out``.
        method: Its name.
        cameras: As the option ``trajectory`` of ``predict`` takes them; None = all that the data have.
        num_seeds: How many, from the configuration's on.
    """

    folder: Path
    method: str
    cameras: tuple[str, ...] | None
    num_seeds: int


class BenchmarkWriter(Callback):
    """Writes ``<clip>_<camera>[_s<seed>].mp4`` of every video from every camera for every seed, and ``manifest.json``.

    The first seed has no suffix. Beside the videos lie ``cameras/`` (the poses asked for), ``records/`` (what each
    video depends on) and ``config.yaml``. A video that is there and whole is not made again; of other inputs, settings
    or checkpoint it is never written over, and nothing is made at all. Several jobs of one process share a folder
    video by video; the ranks of one job share it by ``ShareSampler``.

    Args:
        outcome: Takes what became of every video.
        facts: What results depend on beside the data.
        plan: What is asked for.
    """

    def __init__(self, outcome: BenchmarkOutcome, facts: RunFacts, plan: BenchmarkPlan) -> None:
        super().__init__()
        self.outcome, self.facts, self.plan = outcome, facts, plan
        self.asked: dict[tuple[str, str, int], AskedView] = {}
        self.claims: Claims | None = None
        self._first_seed = 0
        self._module: LightningModule | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find what is asked for, leave out what is done, and begin to share the rest with other jobs.

        Raises:
            InputError: If the data give no such list, two videos have one name, or the folder holds other videos.
            RunStopped: If another job has the folder for itself.
        """
        module = getattr(trainer, "datamodule", None)
        if not isinstance(module, AsksForViews):
            raise InputError(f"data: got {type(module).__name__}, want DAVISDataModule or IPhoneDataModule")
        self._module, self._first_seed = pl_module, self.facts.seed(pl_module)
        module.draw(range(self._first_seed, self._first_seed + self.plan.num_seeds))
        module.keep(_of_cameras(module.requests(), self.plan.cameras))
        requests = module.requests()
        self.asked = {_key(request): request for request in requests}
        self._check_names()
        self.outcome.several = len(requests) > 1
        wanted = []
        for number, request in enumerate(requests):
            if self._is_done(request):
                self.outcome.skipped += 1
            else:
                wanted.append(number)
        module.keep(wanted)
        self._share(trainer, module)

    def _share(self, trainer: Trainer, module: AsksForViews) -> None:
        """Keep others from what this job makes: a job of one process video by video, one of several altogether."""
        alone = trainer.world_size == 1
        if not (alone or trainer.is_global_zero):
            return
        self.claims = Claims(self.plan.folder)
        self.claims.enter(alone=not alone)
        if alone:
            module.claim = self._claim
        else:
            # Nobody else is here, so that what lies about is of a job that was killed.
            for request in module.requests():
                self._place(request).remove_leftovers()
        with self.claims.writing_manifest():
            remove_leftovers(self.plan.folder / CONFIG)
            with appearing(self.plan.folder / CONFIG) as temporary:
                temporary.write_text(self.facts.config, encoding="utf-8")

    def _claim(self, request: AskedView) -> bool:
        """Say whether this process is to make a video now: it does not if another one does, or has done it since."""
        assert self.claims is not None, "jobs of one process have claims"
        place = self._place(request)
        if not self.claims.take(place.stem):
            self.outcome.elsewhere += 1
            return False
        # Another job may have made it and given it back between ``setup`` and now.
        if self._is_done(request):
            self.outcome.skipped += 1
            self.claims.give_back(place.stem)
            return False
        place.remove_leftovers()
        return True

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Write one video, or why there is none; the outcome has noted an error of an earlier stage."""
        if isinstance(outputs, InputError):
            for request in self.asked.values():
                if request.item == outputs.item:
                    self._note_failure(request, outputs)
        if not isinstance(outputs, NovelView):
            return
        real = outputs.real
        assert real.camera is not None, "a video is generated from target cameras"
        assert real.seed is not None, "``draw`` has set it"
        request = self.asked[str(real.clip.name[0]), real.camera.name, real.seed]
        place = self._place(request)
        try:
            inputs = self._inputs(request)
            entry = self._entry_of(outputs, request, inputs, pl_module)
            place.write(inputs, entry, lambda video, cameras: _write_files(outputs, video, cameras))
        except InputError as error:
            error.item = error.item or request.item
            self.outcome.fail(error)
            self._note_failure(request, error)
            return
        self.outcome.made += 1
        self._release(request)
        say(f"wrote {place.video}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the manifest when all is done."""
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the manifest of what is there, for whoever interrupts."""
        self._end()

    def _end(self) -> None:
        """Tell of all videos in the folder, those of earlier commands and of other jobs too, and of those not made."""
        if self.claims is None:
            return
        with self.claims.writing_manifest():
            remove_leftovers(self.plan.folder / MANIFEST)
            entries = entries_of(self.plan.folder)
            told = set()
            for entry in entries:
                told.add(entry["file"])
            for request in self.asked.values():
                entry = self._asked_entry(request)
                if entry["file"] not in told:
                    entries.append(entry)
            write_manifest(self.plan.folder, Manifest(self.plan.method, entries))
        self.claims.close()
        self.claims = None

    def _is_done(self, request: AskedView) -> bool:
        return self._place(request).is_done(lambda: self._inputs(request))

    def _inputs(self, request: AskedView) -> dict[str, Any]:
        assert self._module is not None, "setup comes first"
        return {**request.inputs(), **self.facts.inputs(self._module), "seed": request.seed}

    def _place(self, request: AskedView) -> VideoPlace:
        suffix = "" if request.seed == self._first_seed else f"_s{request.seed}"
        return VideoPlace(self.plan.folder, f"{request.clip}_{request.camera}{suffix}")

    def _check_names(self) -> None:
        """Refuse two videos of one name, as of clip a_b from camera c and clip a from camera b_c."""
        by_stem: dict[str, AskedView] = {}
        for request in self.asked.values():
            other = by_stem.setdefault(self._place(request).stem, request)
            if other is not request:
                got = f"{other.item} and {request.item}, which would both be {self._place(request).video.name}"
                raise InputError(f"data: got {got}, want names that tell videos apart")

    def _note_failure(self, request: AskedView, error: InputError) -> None:
        """Write why there is no video; the claim stays, so that no other job tries it while this one lasts."""
        reason = " ".join(str(error).split())
        self._place(request).fail(self._asked_entry(request), reason)

    def _release(self, request: AskedView) -> None:
        if self.claims is not None:
            self.claims.give_back(self._place(request).stem)

    def _asked_entry(self, request: AskedView) -> dict[str, Any]:
        """Return what is known of a video that is not there."""
        values = (self._place(request).video.name, MISSING, "not made yet", request.clip, request.camera, request.seed)
        return dict(zip(ASKED, values, strict=True))

    def _entry_of(
        self, made: NovelView, request: AskedView, inputs: Mapping[str, Any], pl_module: LightningModule
    ) -> dict[str, Any]:
        """Return what the manifest says of a video, but for length and checksum of its file."""
        told = provenance(made.real, inputs, self.facts, pl_module)
        entry = self._asked_entry(request)
        for name in _TAKEN_OVER:
            entry[name] = told[name]
        # Frames and times stand for those of the generated video too, so that they are fields of their own.
        source = dict(told["source"])
        return {
            **entry,
            "frames": source.pop("frames"),
            "times_s": source.pop("times_s"),
            "source": source,
            "fps": frame_rate(made.real),
            "size": list(made.video.shape[-2:]),
            "convention": request.convention(),
            "cameras": self._place(request).cameras.relative_to(self.plan.folder).as_posix(),
        }


def _key(request: AskedView) -> tuple[str, str, int]:
    assert request.seed is not None, "``draw`` has set it"
    return request.clip, request.camera, request.seed


def _of_cameras(requests: Sequence[AskedView], cameras: Sequence[str] | None) -> list[int]:
    """Return the places of the requests that are of some cameras.

    Raises:
        InputError: If there is no such camera.
    """
    if cameras is None:
        return list(range(len(requests)))
    # A file is given by its path, and its videos are called by its stem.
    names = {camera.name for camera in target_cameras(list(cameras))}
    known = set()
    places = []
    for place, request in enumerate(requests):
        known.add(request.camera)
        if request.camera in names:
            places.append(place)
    for name in sorted(names - known):
        raise InputError(f"--cameras: got {name}, want some of {', '.join(sorted(known))}")
    return places


def _write_files(made: NovelView, video: Path, cameras: Path) -> None:
    """Write the generated video, and the cameras of both views."""
    generated = made.video.cpu()
    write_video(video, generated, frame_rate(made.real))
    both = made.real.clip.cameras[0].to("cpu")
    write_trajectory(cameras, both, (generated.shape[-2], generated.shape[-1]), source_cameras(made.real, both))
