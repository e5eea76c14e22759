"""MVTrack4Gen's table of DAVIS as its authors print it, and what its columns are called here.

Source: project page of arXiv 2606.26087, ``cvlab-kaist/MVTrack4Gen/index.html`` at commit 07bfab9, section "Results on
DAVIS": "a condensed view of the results; the full table is provided in the paper". The iPhone table is not public.
"""

from dataclasses import dataclass

SOURCE = "arXiv 2606.26087, DAVIS table of its project page (cvlab-kaist/MVTrack4Gen at 07bfab9, index.html)"
DIGITS = 3
"""Decimals that the table is printed with."""


@dataclass(frozen=True)
class Column:
    """A column of the paper's table.

    Attributes:
        metric: What ``mvt4g benchmark score`` calls it.
        title: What the paper calls it.
        higher_is_better: The arrow beside the title.
    """

    metric: str
    title: str
    higher_is_better: bool


@dataclass(frozen=True)
class PublishedRow:
    """A row of the paper's table.

    Attributes:
        method: The name printed.
        group: The heading that it stands under.
        values: By the metrics of ``COLUMNS``.
        backbone: The method that it is compared with in green and red; None = with none.
    """

    method: str
    group: str
    values: dict[str, float]
    backbone: str | None = None


ROTATION, TRANSLATION, CAM_MC = (
    f"camera/mvtrack4gen/{name}" for name in ("rotation_error_deg", "translation_error", "cam_mc")
)
COLUMNS = (
    Column("subject_consistency", "Subj. Cons.", True),
    Column("imaging_quality", "Imaging", True),
    Column("motion_smoothness_amt_s", "Motion Smooth.", True),
    Column("met3r", "MEt3R", False),
    Column("met3r_dyn", "MEt3R-dyn", False),
    Column(ROTATION, "mRotErr", False),
    Column(TRANSLATION, "mTransErr", False),
    Column(CAM_MC, "mCamMC", False),
)
"""In the paper's order."""
LIFTING, CONDITIONING, OURS = "Explicit 3D Lifting", "Camera Conditioning Only", "Ours"
_NUMBERS = {
    "GEN3C": (0.856, 0.582, 0.980, 0.290, 0.328, 2.538, 0.127, 0.163),
    "TrajectoryCrafter": (0.847, 0.550, 0.970, 0.291, 0.306, 10.126, 0.190, 0.355),
    "CogNVS": (0.811, 0.530, 0.978, 0.333, 0.346, 10.439, 0.228, 0.400),
    "NeoVerse": (0.858, 0.591, 0.983, 0.302, 0.323, 4.705, 0.159, 0.228),
    "ReCamMaster": (0.904, 0.652, 0.985, 0.337, 0.369, 3.660, 0.113, 0.169),
    "ReDirector": (0.897, 0.680, 0.985, 0.318, 0.395, 1.714, 0.086, 0.109),
    "MVTrack4Gen (ReCamMaster)": (0.892, 0.685, 0.984, 0.274, 0.287, 1.858, 0.100, 0.125),
    "MVTrack4Gen (ReDirector)": (0.905, 0.687, 0.986, 0.267, 0.349, 1.718, 0.073, 0.097),
}
"""In the order of ``COLUMNS``; the page sets the backbone of the last two as a subscript."""


def _row(method: str, group: str, backbone: str | None = None) -> PublishedRow:
    values = {}
    for column, number in zip(COLUMNS, _NUMBERS[method], strict=True):
        values[column.metric] = number
    return PublishedRow(method, group, values, backbone)


PUBLISHED = (
    _row("GEN3C", LIFTING),
    _row("TrajectoryCrafter", LIFTING),
    _row("CogNVS", LIFTING),
    _row("NeoVerse", LIFTING),
    _row("ReCamMaster", CONDITIONING),
    _row("ReDirector", CONDITIONING),
    _row("MVTrack4Gen (ReCamMaster)", OURS, "ReCamMaster"),
    _row("MVTrack4Gen (ReDirector)", OURS, "ReDirector"),
)
"""In the paper's order."""
