"""A picture of points queried in one view and looked for in the other: ``python -m experiments.tracking.picture``.

Left the query points in the reference, then the target with the answers of zero-shot argmax and of the head (crosses),
each tied to where the point truly is (ring); of the runs that ``experiments.tracking.run`` has left.
"""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from experiments.tracking.run import FOLDER, TAPPED
from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.inference.tracker import Tracker, TrackerSpec
from mvt4g.matching.pairs import seen_by_kind
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import REFERENCE, TARGET, MultiViewClip
from mvt4g.viz.canvas import Pen, draw_over, rgba, to_image
from mvt4g.viz.colours import rainbow_by_row
from mvt4g.viz.tiles import tile_images

CLIPS, POINTS, FACTOR = (0, 1, 2), 14, 5
"""The held-out scenes shown, the most points of each, and how much they are enlarged."""
Method = Literal["argmax", "head"]
WAYS: dict[Method, str] = {"argmax": "unsupervised", "head": "supervised"}
"""Which arm's model each method is shown of."""


def main() -> None:
    """Draw and save the picture beside this file."""
    data = KubricDataModule(scene=SceneSpec.nano(), cache_dir=Path("cache/clips"), num_test=32)
    data.setup("test")
    trackers = {method: Tracker(model(arm), TrackerSpec(method=method, layer=TAPPED)) for method, arm in WAYS.items()}
    rows, captions = [], []
    for index in CLIPS:
        clip = data.samples("test")[index]
        assert isinstance(clip, MultiViewClip), "generated clips are never at fault"
        pictures = row(MultiViewClip.stack([clip]), trackers)
        rows.append([picture for picture, _ in pictures])
        captions.append([caption for _, caption in pictures])
    to_image(tile_images(rows, captions)).save(Path(__file__).with_name("across_views.png"), optimize=True)


def row(clip: MultiViewClip, trackers: dict[Method, Tracker]) -> list[tuple[Tensor, str]]:
    """Return the pictures of one scene, with their captions: frame 0 of the reference, the target's last frame."""
    grid = trackers["head"].model.codec.grid
    assert isinstance(clip.name, tuple)
    truth = draw_queries_by_name(clip, clip.name, grid, 64, seed=0)
    asked = seen_by_kind(truth)["cross"][0, TARGET, -1] & (truth.queries[0, :, 1] == 0)
    chosen = asked.nonzero()[:POINTS, 0]
    queries, true = truth.queries[0, chosen, 2:], truth.tracks[0, TARGET, -1, chosen]
    colours = rainbow_by_row(queries[None])
    pictures = [(drawn(clip.video[0, REFERENCE, 0], queries, None, colours), "queries")]
    for method, tracker in trackers.items():
        found = tracker(clip, truth.queries).tracks[0, TARGET, -1, chosen]
        caption = f"{method}: median {(found - true).norm(dim=-1).median():.1f} px off"
        pictures.append((drawn(clip.video[0, TARGET, -1], found, true, colours), caption))
    return pictures


def model(arm: str, seed: int = 0) -> NovelViewModel:
    """Return the averaged model that an arm has trained."""
    checkpoint = last_checkpoint(FOLDER / f"{arm}-{seed}")
    assert checkpoint is not None, "experiments.tracking.run comes first"
    dit = VideoDiTConfig(dim=96, ffn_dim=384, num_heads=4, num_layers=4, query_gain=3.0)
    codec = PatchCodec(block=4, keep=16, scale="natural")
    backbone = ReCamMaster(dit=dit, grid=codec.grid, extra_conditioning=[PluckerConditioning()])
    head = TrackingHead(backbone.tap_shape, TAPPED) if arm == "supervised" else None
    found = NovelViewModel(backbone, codec, FlowMatching(), head)
    average = torch.load(checkpoint, weights_only=True)["callbacks"]["EMA"]["average"]
    state = {**found.state_dict(), **{name.removeprefix("model."): value for name, value in average.items()}}
    found.load_state_dict(state)
    return found


def drawn(image: Tensor, points: Tensor, true: Tensor | None, colours: Tensor) -> Tensor:
    """Draw points as discs, or as crosses tied to rings where the truth is."""

    def marks(pen: Pen) -> None:
        for number, (x, y) in enumerate(points.tolist()):
            colour = rgba(colours[number])
            if true is None:
                pen.dot((x, y), colour)
                continue
            true_x, true_y = true[number].tolist()
            pen.line((x, y), (true_x, true_y), colour)
            pen.dot((true_x, true_y), colour, filled=False)
            pen.cross((x, y), colour)

    return draw_over(image, FACTOR, marks)


if __name__ == "__main__":
    main()
