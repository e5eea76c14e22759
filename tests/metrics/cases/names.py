"""Case of the names of videos."""

from mvt4g.metrics.video_names import VideoNames
from tests.metrics.cases.case import MetricCase

CASES = {
    "VideoNames": MetricCase(
        make=VideoNames,
        updates=({"names": ["dog", "Zürich 2"]}, {"names": ["a"]}, {"names": ["car-shadow", "", "b"]}),
        split=("names",),
    )
}
