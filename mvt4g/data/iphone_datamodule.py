"""DyCheck's iPhone scenes, for test (the true target view is known) and predict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mvt4g.data.asked_views import AskedViews, AsksForViews
from mvt4g.data.iphone_clips import IPhonePair, IPhonePairs, check_size, find_pairs
from mvt4g.data.loading import LoaderSpec, collate
from mvt4g.data.query_points import QueryChoice
from mvt4g.data.real_clips import RealClip
from mvt4g.data.shares import share_of
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.readers.iphone import list_clips
from mvt4g.types import InputError, MultiViewClip


class IPhoneDataModule(AsksForViews[IPhonePair], LightningDataModule):
    """Chunks of the moving phone's video, each to be seen from the phones that stood still.

    In test a batch is a ``MultiViewClip`` of both views, in predict a ``RealClip`` of the reference's video, in either
    case of one chunk. There is nothing to train on here; ``KubricDataModule`` takes the scenes as sources.
    """

    def __init__(
        self,
        root: Path,
        scenes: Sequence[str] = (),
        chunks: Sequence[int] = (),
        queries: str = "grid:8",
        size: VideoSize = VideoSize(),
        loader: LoaderSpec = LoaderSpec(batch_size=1),
    ) -> None:
        """Take note of where the scenes are; they are looked at in ``setup``.

        Args:
            root: A scene, or a folder of scenes.
            scenes: Names of those wanted; empty = all that have several phones.
            chunks: Of ``size.num_frames`` frames, by number from 0; empty = all.
            queries: Points to track in predict: "grid:8".
            size: What the model takes; ``num_frames`` is the length of a chunk.
            loader: Few.
        """
        super().__init__()
        self.root, self.scenes, self.chunks = root, tuple(scenes), tuple(chunks)
        self.queries, self.size, self.loader = queries, size, loader

    def setup(self, stage: str) -> None:
        """Find the chunks; no picture is read.

        Raises:
            InputError: If a stage trains, an option is bad, or no scene has a chunk that two phones saw.
        """
        if stage in ("fit", "validate"):
            want = "KubricDataModule with the scenes as sampling.sources"
            raise InputError(f"data: got IPhoneDataModule for {stage}, want {want}")
        if self.clips is not None:
            return
        check_size(self.size)
        if QueryChoice.parse(self.queries).kind != "grid":
            raise InputError(f"queries: got {self.queries!r}, want 'grid:N'")
        if any(chunk < 0 for chunk in self.chunks):
            raise InputError(f"chunks: got {list(self.chunks)}, want numbers from 0")
        pairs: list[IPhonePair] = []
        for scene in self._wanted_scenes():
            pairs += find_pairs(scene, self.size, self.queries, self.chunks)
        if not pairs:
            least = self.size.temporal_stride + 1
            raise InputError(f"{self.root}: got no chunk of {least} frames that two phones saw, want at least one")
        self.clips = AskedViews(pairs)

    def test_dataloader(self) -> DataLoader[MultiViewClip | InputError]:
        """Return the chunks with both views, in order, each to one rank."""
        pairs = IPhonePairs(self.asked_views().requests)
        options: dict[str, Any] = {**self.loader.worker_options(), "collate_fn": collate}
        sampler = share_of(pairs, 1, self.trainer)
        return DataLoader(pairs, batch_size=1, shuffle=False, sampler=sampler, **options)

    def predict_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the chunks of the moving phone, in order, each to one rank."""
        return self.view_loader()

    def _wanted_scenes(self) -> list[Path]:
        by_name = {path.name: path for path in list_clips(self.root)}
        absent = [name for name in self.scenes if name not in by_name]
        if absent:
            raise InputError(f"scenes: got {absent[0]!r}, want some of {', '.join(by_name)}")
        return [by_name[name] for name in self.scenes or by_name]
