"""The layouts that are known by name: eight public programs at their defaults, this project's own, and a plain one.

Read in public source code, not off files that the programs wrote; commits: GEN3C db2ffe1, TrajectoryCrafter d2f795f,
cog-nvs 9d7d00c, NeoVerse bb97880, ReCamMaster 39c0dc2, ReDirector 2ceace5, FlashRender 9c4c38f, Vista4D 15cc2fc. What
is inferred is said so in ``program``.
"""

from collections.abc import Mapping
from dataclasses import replace

from mvt4g.formats.foreign.crop_rules import CropRule
from mvt4g.formats.foreign.frame_maps import FrameCount, FrameMap
from mvt4g.formats.foreign.video_layouts import ClipTable, VideoLayout

_WAN = (480, 832)
_NAMED = ("[outputs/]{clip}_{camera}[_s{seed}]", "[outputs/]{clip}")
"""Names that a user gives, and the default, which says neither clip nor camera: an index does."""
_VIPE_INPUT = ("**/input", "**/input/**/*")

PLAIN = VideoLayout(
    name="plain",
    program="any; also mvt4g benchmark generate",
    patterns=("{clip}_{camera}[_s{seed}]",),
)
PREDICT = VideoLayout(
    name="predict",
    program="mvt4g predict",
    patterns=("[predict/]{clip}/{path}-s{seed}/generated",),
    companions=("**/reference", "**/overlay"),
)
GEN3C = VideoLayout(
    name="gen3c",
    program="GEN3C, gen3c_dynamic.py through --vipe_path",
    patterns=_NAMED,
    frames=FrameMap(padded=True),
    count=FrameCount(step=120),
    crop=CropRule("squeeze_cut", (720, 1280)),
    sizes=((704, 1280),),
    fps=24.0,
    side_by_side=True,
    relative_to="source_frames",
    scale="of the depth it was given; its own moves are shares of a depth of 1",
    by_name_alone=False,
)
TRAJECTORY_CRAFTER = VideoLayout(
    name="trajectorycrafter",
    program="TrajectoryCrafter, mode gradual, stride 1",
    patterns=("[experiments/][{time}_]{clip}_{camera}/gen", "[experiments/][{time}_]{clip}/gen"),
    companions=("**/input", "**/render", "**/mask", "**/viz"),
    count=FrameCount(exact=49),
    crop=CropRule("squeeze"),
    sizes=((384, 672),),
    fps=10.0,
    relative_to="source_frames",
    scale="of DepthCrafter's depth, which has no metric meaning; its focal length is always 500 px of 1024",
)
TRAJECTORY_CRAFTER_DIRECT = replace(
    TRAJECTORY_CRAFTER,
    name="trajectorycrafter_direct",
    program="TrajectoryCrafter, mode direct: of 49 frames the last 29 are saved, which show source frames 0 to 28",
    count=FrameCount(exact=29),
)
TRAJECTORY_CRAFTER_BULLET = replace(
    TRAJECTORY_CRAFTER,
    name="trajectorycrafter_bullet",
    program="TrajectoryCrafter, mode bullet, stride 1: time stands still at the last of 49 frames",
    frames=FrameMap("hold", start=48),
)
COGNVS = VideoLayout(
    name="cognvs",
    program="CogNVS, demo.py; k of eval_render<k> is the place of the trajectory in the sorted folder trajs/",
    patterns=("{clip}/outputs/eval_render{k}_out", "{clip}/outputs/{camera}_out", "{clip}/outputs/{path}_out"),
    companions=("**/gt_rgb", "**/eval_render*", "**/train_render*"),
    count=FrameCount(exact=49),
    crop=CropRule("squeeze"),
    fps=10.0,
    relative_to="source_frames",
    scale="of the depth it was given",
)
NEOVERSE = VideoLayout(
    name="neoverse",
    program="NeoVerse, inference.py in mode relative",
    patterns=_NAMED,
    companions=("**/target_rgb", "**/target_depth", "**/target_mask"),
    frames=FrameMap("spread"),
    count=FrameCount(exact=81),
    crop=CropRule("cover_down"),
    sizes=((336, 560),),
    fps=16.0,
    relative_to="source_frames",
    scale="of its own reconstruction",
    by_name_alone=False,
)
NEOVERSE_GLOBAL = replace(
    NEOVERSE, name="neoverse_global", program="NeoVerse, inference.py in mode global", relative_to="source_start"
)
RECAMMASTER = VideoLayout(
    name="recammaster",
    program="ReCamMaster, inference_recammaster.py; the dataset's metadata.csv says which clip a row is",
    patterns=("[results/]cam_type{k}/video{row}",),
    count=FrameCount(exact=81),
    sizes=(_WAN,),
    fps=30.0,
    table=ClipTable(),
)
REDIRECTOR = VideoLayout(
    name="redirector",
    program="ReDirector, inference.py",
    patterns=("[results/]{clip}_camera_{k}_speed_{speed}",),
    companions=_VIPE_INPUT,
    count=FrameCount(step=4, of_source=True),
    sizes=(_WAN,),
    speed="per_frame",
)
FLASHRENDER = VideoLayout(
    name="flashrender",
    program="FlashRender, inference.py",
    patterns=("[results/]{clip}/{epoch}_cam{k}",),
    companions=_VIPE_INPUT,
    count=FrameCount(step=4, most=81, of_source=True),
    sizes=(_WAN,),
    speed="per_frame",
)
VISTA4D = VideoLayout(
    name="vista4d",
    program="Vista4D, inference_eval.py; of a source longer than 49 frames the middle ones (inferred from its names)",
    patterns=("[results/][eval/]{resolution}/{name}/video_seed={seed}",),
    companions=("**/source", "**/point_cloud", "**/point_cloud_masks"),
    frames=FrameMap("centre"),
    count=FrameCount(exact=49),
    crop=CropRule("cut_first"),
    sizes=((384, 672), (720, 1280)),
    scale="of its reconstruction, in whose world source and target cameras are given",
    table=ClipTable(clip="video", name="name", camera="camera"),
)
VIDEO_LAYOUTS: Mapping[str, VideoLayout] = {
    layout.name: layout
    for layout in (
        RECAMMASTER, REDIRECTOR, FLASHRENDER, TRAJECTORY_CRAFTER, TRAJECTORY_CRAFTER_DIRECT, TRAJECTORY_CRAFTER_BULLET,
        COGNVS, VISTA4D, GEN3C, NEOVERSE, NEOVERSE_GLOBAL, PREDICT, PLAIN,
    )
}  # fmt: skip
"""By name, in the order in which a folder of an unknown program is tried."""
EIGHT = ("gen3c", "trajectorycrafter", "cognvs", "neoverse", "recammaster", "redirector", "flashrender", "vista4d")
"""The programs that the benchmark scores unchanged."""
