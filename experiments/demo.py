"""``make demo``: train the tiny model for a few minutes, test it untrained and trained, generate from a video.

Everything lies under ``runs/demo``; a demo that was stopped goes on where it was, ``--fresh`` starts anew.
"""

import argparse
import shutil
import time
from pathlib import Path

from experiments import runs
from mvt4g.data.kubric import SyntheticClips
from mvt4g.formats.video import write_video
from mvt4g.synthetic.spec import SceneSpec

CONFIG = "configs/experiment/demo.yaml"
FOLDER = Path("runs/demo")
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget an earlier demo")
    if parser.parse_args().fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    start = time.monotonic()
    checkpoint = runs.fit(CONFIG, FOLDER / "fit")
    print(f"\ntrained in {time.monotonic() - start:.0f} s; testing on held-out scenes\n")
    untrained = runs.test(CONFIG, FOLDER / "untrained", None)
    trained = runs.test(CONFIG, FOLDER / "fit", checkpoint)
    video = FOLDER / "example.mp4"
    write_video(video, SyntheticClips(SceneSpec(), "test", 1, seed=0).clip(0).video[0], fps=8)
    camera = "--data.init_args.camera.fov_deg=42"  # about what the synthetic cameras have
    flags = ["-c", "configs/data/davis.yaml", f"--data.init_args.video={video}", camera]
    runs.predict(CONFIG, FOLDER / "fit", checkpoint, *flags)
    rows = {name: (untrained[key], trained[key]) for name, key in ROWS.items()}
    recipe = runs.recipe_hash(FOLDER / "fit")
    print(f"\n32 held-out scenes, evaluation recipe {recipe}, attention and tracks at sigma 0.5\n")
    print(runs.table(["untrained", "trained"], rows))
    print(f"\npictures     {FOLDER}/fit/test/media/  (reference | target | generated, attention matches)")
    print(f"novel view   {FOLDER}/fit/predict/example/arc_left-s0/  (overlay.mp4, generated.mp4, tracks.npz ...)")
    print("TensorBoard  make tensorboard")
    print(f"time         {time.monotonic() - start:.0f} s after set-up")


if __name__ == "__main__":
    main()
