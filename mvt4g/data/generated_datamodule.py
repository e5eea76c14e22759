"""Generated videos on disk, whoever generated them, to be scored by ``test``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from mvt4g.data.loading import LoaderSpec, goes_on, raise_if_error
from mvt4g.data.shares import share_of
from mvt4g.formats.generated_folder import generated_folders, read_generated
from mvt4g.types import GeneratedVideos, InputError


class GeneratedFolders(Dataset[GeneratedVideos | InputError]):
    """One folder an item, as ``formats.generated_folder`` describes it, as a batch of one.

    Args:
        root: Holds the folders.

    Raises:
        InputError: If there is none.
    """

    def __init__(self, root: Path) -> None:
        self.folders = tuple(generated_folders(root))
        self.names = tuple(folder.relative_to(root).as_posix() for folder in self.folders)

    def __len__(self) -> int:
        """Return the number of folders."""
        return len(self.folders)

    def __getitem__(self, index: int) -> GeneratedVideos | InputError:
        """Return a video, or what is wrong with its folder."""
        try:
            return read_generated(self.folders[index], self.names[index])
        except InputError as error:
            error.item = self.names[index]
            return error


class GeneratedVideosDataModule(LightningDataModule):
    """Folders of generated videos, one at a time, since they differ in size and length."""

    def __init__(self, root: Path, loader: LoaderSpec = LoaderSpec(batch_size=1)) -> None:
        """Take note of where the folders are.

        Args:
            root: Holds a folder for each video: ``generated.mp4`` and what else is known of it.
            loader: Few; the batch size is 1 whatever it says.
        """
        super().__init__()
        self.root = root
        self.loader = loader
        self.videos: GeneratedFolders | None = None

    def setup(self, stage: str) -> None:
        """List the folders.

        Raises:
            InputError: If a stage other than test is asked for, or there is no video.
        """
        if stage != "test":
            raise InputError(f"data: got GeneratedVideosDataModule for {stage}, want it for test alone")
        self.videos = GeneratedFolders(self.root)

    def test_dataloader(self) -> DataLoader[GeneratedVideos | InputError]:
        """Return the videos in order."""
        assert self.videos is not None, "Lightning calls setup first"
        options: dict[str, Any] = {**self.loader.worker_options()}
        sampler = share_of(self.videos, 1, self.trainer)
        return DataLoader(self.videos, batch_size=1, shuffle=False, sampler=sampler, collate_fn=_only, **options)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Hand on what a worker found wrong, after which a test goes on.

        Raises:
            InputError: The worker's, where there is no trainer to go on.
        """
        return batch if goes_on(self.trainer) else raise_if_error(batch)


def _only(items: Sequence[GeneratedVideos | InputError]) -> GeneratedVideos | InputError:
    (item,) = items
    return item
