// The clock: which frame is shown now.

export class Player extends EventTarget {
  /** @param times seconds at which each frame is shown, from 0 */
  constructor(times) {
    super();
    this.times = times;
    this.frame = 0;
    this.playing = false;
    this.speed = 1;
    this.elapsed = 0;
    const last = times.length - 1;
    // The last frame is shown as long as the one before it.
    this.duration = last > 0 ? times[last] + (times[last] - times[last - 1]) : 1;
  }

  get numFrames() {
    return this.times.length;
  }

  toggle() {
    this.playing = !this.playing && this.numFrames > 1;
    this.before = undefined;
    this._tell();
  }

  seek(frame) {
    const shown = Math.max(0, Math.min(this.numFrames - 1, Math.round(frame)));
    this.elapsed = this.times[shown];
    if (shown === this.frame) return;
    this.frame = shown;
    this._tell();
  }

  step(by) {
    if (this.playing) this.toggle();
    this.seek((this.frame + by + this.numFrames) % this.numFrames);
  }

  /**
   * Let time pass up to `now` (milliseconds).
   *
   * @param isReady says whether a frame can be shown; the clock waits for one that cannot
   */
  tick(now, isReady) {
    if (!this.playing) return;
    // A page in the background gets no ticks: it goes on where it was.
    const passed = this.before === undefined ? 0 : Math.min(0.25, (now - this.before) / 1000);
    this.before = now;
    const elapsed = (this.elapsed + passed * this.speed) % this.duration;
    const frame = this._frameAt(elapsed);
    if (!isReady(frame)) return;
    this.elapsed = elapsed;
    if (frame === this.frame) return;
    this.frame = frame;
    this._tell();
  }

  _frameAt(elapsed) {
    let frame = this.frame;
    if (this.times[frame] > elapsed) frame = 0;
    while (frame + 1 < this.numFrames && this.times[frame + 1] <= elapsed) frame++;
    return frame;
  }

  _tell() {
    this.dispatchEvent(new Event("change"));
  }
}
