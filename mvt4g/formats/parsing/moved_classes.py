"""Classes that have another module than before and are still understood by their old path in configurations."""

import re

MOVED = {
    "mvt4g.metrics.providers.colmap": "mvt4g.metrics.pose_estimators.colmap",
    "mvt4g.metrics.providers.photometric": "mvt4g.metrics.pose_estimators.photometric",
    "mvt4g.metrics.providers.poses_from_files": "mvt4g.metrics.pose_estimators.poses_from_files",
}
"""New module by old one."""
_OLD = re.compile("|".join(rf"{re.escape(module)}(?=\.[A-Z])" for module in MOVED))


def with_moved_classes(text: str) -> str:
    """Return a configuration, or an argument of the command line, with the paths that classes have now."""
    return _OLD.sub(lambda found: MOVED[found[0]], text)
