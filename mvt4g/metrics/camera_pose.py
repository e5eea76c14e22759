"""Camera errors under the name that other programs import: see ``camera.camera_pose``."""

from mvt4g.metrics.camera.camera_pose import CameraPoseError, RelativePoseAccuracy

__all__ = ["CameraPoseError", "RelativePoseAccuracy"]
