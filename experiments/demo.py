"""``make demo``: a novel view by the base that the package ships, minutes of fine-tuning, the same view and scores.

Everything lies under ``runs/demo``; a demo that was stopped goes on where it was, ``--fresh`` starts anew.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from experiments.endings import told

CONFIG = "configs/experiment/from_base.yaml"
FOLDER = Path("runs/demo")
BASE, TUNED = FOLDER / "base", FOLDER / "fit"
VIEW = Path("predict/example/arc_left-s0")
ROWS = {
    "validation loss (velocity, mean of three noise levels)": "test/loss",
    "attention PCK, across views": "test/attention_pck/cross@0.50",
    "attention PCK, in time (reference)": "test/attention_pck/ref@0.50",
    "attention PCK, in time (target)": "test/attention_pck/tgt@0.50",
    "track PCK < 2 px, across views": "test/track_pck_2px/cross@0.50",
    "track PCK < 2 px, in time (reference)": "test/track_pck_2px/ref@0.50",
    "track PCK < 2 px, in time (target)": "test/track_pck_2px/tgt@0.50",
    "PSNR of the generated view, dB": "test/psnr",
    "PSNR of the codec alone, dB": "test/psnr_codec",
}


def main() -> None:
    """Run the demo."""
    # Torch and Lightning take seconds to import: Ctrl-C then is one line too.
    from experiments import runs
    from mvt4g.data.kubric import SyntheticClips
    from mvt4g.formats.video import write_video
    from mvt4g.formats.weights import read_metadata
    from mvt4g.models.shipped import place_of
    from mvt4g.synthetic.spec import SceneSpec

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget an earlier demo")
    if parser.parse_args().fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    start = time.monotonic()

    def tell(what: str) -> None:
        print(f"\n[{time.monotonic() - start:.0f} s] {what}\n", flush=True)

    video = FOLDER / "example.mp4"
    write_video(video, SyntheticClips(SceneSpec(), "test", 1, seed=0).clip(0).video[0], fps=8)
    steps = read_metadata(place_of(Path("builtin:tiny")))["steps"]
    tell(f"a novel view of {video} by the base, which has seen {steps} steps of synthetic scenes")
    view_of(video, BASE, None)
    tell(f"{BASE / VIEW}/generated.mp4; scoring the base on held-out scenes")
    base = runs.test(CONFIG, BASE, None)
    tell("fine-tuning with rays, L_track and L_corr")
    checkpoint = runs.fit(CONFIG, TUNED)
    tell("the same view and scores again")
    view_of(video, TUNED, checkpoint)
    tuned = runs.test(CONFIG, TUNED, checkpoint)
    rows = {name: (base[key], tuned[key]) for name, key in ROWS.items()}
    print(f"\n32 held-out scenes, evaluation recipe {runs.recipe_hash(TUNED)}, attention and tracks at sigma 0.5\n")
    print(runs.table([f"base, {steps} steps", "fine-tuned"], rows))
    print(f"\npictures     {TUNED}/test/media/  (reference | target | generated, attention matches)")
    print(f"novel view   {BASE / VIEW}/, {TUNED / VIEW}/  (overlay.mp4, generated.mp4, tracks.npz ...)")
    print("TensorBoard  make tensorboard")
    print(f"time         {time.monotonic() - start:.0f} s after set-up")


def view_of(video: Path, run: Path, checkpoint: Path | None) -> None:
    """Predict a novel view of the example into a run folder; None = by the base."""
    from experiments import runs

    camera = "--data.init_args.camera.fov_deg=42"  # about what the synthetic cameras have
    flags = ["-c", "configs/data/davis.yaml", f"--data.init_args.video={video}", camera]
    runs.predict(CONFIG, run, checkpoint, *flags)


if __name__ == "__main__":
    sys.exit(told(main))
