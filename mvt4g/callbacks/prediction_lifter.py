"""The scene that ``predict`` leaves beside a generated video."""

from pathlib import Path

import torch

from mvt4g.callbacks.checkpoints import say
from mvt4g.inference.lifting.depth_choice import DepthSpec, choose_depth
from mvt4g.inference.lifting.lift_input import read_lift_input
from mvt4g.inference.lifting.prediction_lift import PredictionLift
from mvt4g.inference.lifting.scene import lift_scene
from mvt4g.inference.lifting.scene_files import write_scene_files
from mvt4g.models.depth_model import TransformersDepth
from mvt4g.types import InputError
from mvt4g.viz.scene_clouds import CloudFilter


class PredictionLifter:
    """Lifts the videos of a folder that ``predict`` fills, as ``mvt4g lift`` would.

    The videos are those of the files: what a viewer of the folder sees.

    Args:
        spec: What is asked for.
        device: Where a network runs.

    Raises:
        InputError: If the network cannot be read: before anything is generated.
    """

    def __init__(self, spec: PredictionLift, device: torch.device | str = "cpu") -> None:
        self.spec = spec
        self.model = None if spec.model is None else TransformersDepth(spec.model, device)

    def __call__(self, folder: Path, name: str) -> None:
        """Write the scene of a folder; where it cannot be lifted, say why in a line.

        Args:
            folder: That holds the videos.
            name: What the page is called.
        """
        clouds = CloudFilter() if self.spec.clouds else None
        try:
            source = read_lift_input(folder)
            chosen = choose_depth(source, self.spec.depth, DepthSpec(), self.model)
            write_scene_files(folder, lift_scene(source, chosen).scene, name, clouds)
        except InputError as error:
            say(f"not lifted: {error}")
