"""Videos scored by several processes side by side, each of which leaves what they have added for the one that tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mvt4g.benchmark.aligned_video import NotScored
from mvt4g.benchmark.found_videos import Method
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.memory import give_back_large_blocks
from mvt4g.benchmark.score_methods import score_video, with_shapes
from mvt4g.benchmark.video_scorer import ScoreSpec, VideoScorer
from mvt4g.commands.worker_pool import run_in_processes


@dataclass(frozen=True)
class ScoreTask:
    """What one process scores: every ``of``-th video of all methods, from the ``number``-th on."""

    methods: tuple[Method, ...]
    sources: Sources
    spec: ScoreSpec
    out: Path
    number: int
    of: int


def score_ahead(methods: Sequence[Method], sources: Sources, spec: ScoreSpec, out: Path, workers: int) -> int:
    """Score the videos of all methods in processes of one thread each; what cannot be scored is left for later.

    Args:
        methods: With their videos.
        sources: What is known of clips.
        spec: How they are scored.
        out: Folder of what each video has added, in which a ``VideoScorer`` finds it.
        workers: Processes; 0 = nothing is scored ahead.

    Returns:
        How many videos were scored now.

    Raises:
        InputError: If a file of weights is broken, or a process was killed.
    """
    if workers == 0:
        return 0
    num_videos = sum(len(method.videos) for method in methods)
    # A process loads every network: none is started without a video.
    processes = max(1, min(workers, num_videos))
    tasks = [ScoreTask(tuple(methods), sources, spec, out, number, processes) for number in range(processes)]
    return sum(scored for _, scored in run_in_processes(score_share, tasks, processes))


def score_share(task: ScoreTask) -> int:
    """Score the videos of a task and return how many of them were not scored before."""
    torch.set_num_threads(1)
    give_back_large_blocks()
    scorer = VideoScorer(task.spec, task.out)
    place = 0
    num_scored = 0
    for method in task.methods:
        videos, shapes = with_shapes(method)
        for video in videos:
            own = place % task.of == task.number
            place += 1
            if video.status or not own:
                continue
            try:
                score_video(method, video, shapes[video.file], task.sources, scorer)
                num_scored += 1
            except NotScored:
                # The process that tells of videos comes to the same end, and says why.
                continue
    return num_scored - scorer.reused
