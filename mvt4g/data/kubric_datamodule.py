"""Kubric-like synthetic scenes, and clips of any source that has tracks, depth or only video and cameras."""

from pathlib import Path

from mvt4g.data.clip_sources import OpenSource, SourceSpec, Split, open_path
from mvt4g.data.kubric import SyntheticClips
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.samples import HeldOutClips, SamplingSpec, TrainingSamples
from mvt4g.data.step_datamodule import StepDataModule
from mvt4g.ranges import Count, Seed
from mvt4g.synthetic.spec import SceneSpec

Samples = TrainingSamples | HeldOutClips


class KubricDataModule(StepDataModule):
    """Train clips in an endless order that depends on the step alone, fixed validation and test clips.

    Scenes are generated, or come from ``sampling.sources``, or from both in a weighted mixture. Clips of a source are
    called ``<source>/<clip>``, by which the system logs its losses per source.

    Training is counted in steps: give the trainer ``max_steps``, ``val_check_interval`` in steps and
    ``check_val_every_n_epoch=None``.
    """

    def __init__(
        self,
        scene: SceneSpec = SceneSpec(),
        loader: LoaderSpec = LoaderSpec(),
        cache_dir: Path | None = None,
        num_train: Count = 20_000,
        num_val: Count = 32,
        num_test: Count = 32,
        seed: Seed = 0,
        sampling: SamplingSpec = SamplingSpec(),
    ) -> None:
        """Take note of the sources; they are opened in ``setup``, and clips are made when they are asked for.

        Args:
            scene: The recipe of generated scenes.
            loader: Batches and workers.
            cache_dir: Keeps generated clips; a full cache needs neither Open3D nor MuJoCo.
            num_train: Different generated training clips before a second pass starts.
            num_val: Validation clips, of each source at most.
            num_test: Test clips, of each source at most.
            seed: Of generated clips and of every draw of a sample.
            sampling: Other sources, and what is taken of each clip.
        """
        super().__init__()
        self.scene = scene
        self.loader = loader
        self.cache_dir = cache_dir
        self.seed = seed
        self.sampling = sampling
        self.num_clips: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
        self._samples: dict[Split, Samples] = {}

    def setup(self, stage: str) -> None:
        """Open the sources that a stage needs.

        Raises:
            InputError: If one is not there, of no known format, or empty, or a number is out of range.
        """
        splits: dict[str, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
        }
        for split in splits.get(stage, ()):
            self.samples(split)

    def samples(self, split: Split) -> Samples:
        """Return the samples of a split.

        Raises:
            InputError: As ``setup``.
        """
        if split not in self._samples:
            sources = [self._open(spec) for spec in self.sampling.sources if spec.split == split]
            if not sources:
                sources = [OpenSource("", self._generated(split, self.scene))]
            if split == "train":
                self._samples[split] = TrainingSamples(sources, self.sampling, self.seed)
            else:
                self._samples[split] = HeldOutClips(sources, self.sampling, self.seed, self.num_clips[split])
        return self._samples[split]

    def _open(self, spec: SourceSpec) -> OpenSource:
        if spec.path is not None:
            clips = open_path(spec.path, spec.format, spec.pseudo_tracks, spec.reader)
            return OpenSource(spec.called, clips, spec.weight, spec.path)
        return OpenSource(spec.called, self._generated(spec.split, spec.scene or self.scene), spec.weight)

    def _generated(self, split: Split, scene: SceneSpec) -> SyntheticClips:
        return SyntheticClips(scene, split, self.num_clips[split], self.seed, self.cache_dir)
