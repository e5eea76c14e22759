// How finely the scene is drawn: coarser while it moves on a slow machine, every pixel once it rests.

const REST = 180; // milliseconds without a change after which every pixel is drawn
const SLOW = 42; // milliseconds a drawing beyond which detail is given up
const FAST = 20; // and under which it is taken back
const LEVELS = [[1, 1], [2, 1], [3, 1], [4, 0.8], [6, 0.66], [8, 0.5]]; // step between pixels of the cloud; share of the screen's

export class Detail {
  constructor(settings, isSoftware) {
    this.settings = settings;
    this.level = isSoftware ? 3 : 0; // while something moves
    this.times = [];
    this.changed = -Infinity;
  }

  /** Return the step between the pixels to draw now, and the share of the screen's pixels; call it every tick. */
  now(time, isStale, isBusy) {
    // After a drawing the next tick comes late if the drawing was slow. Ticks without one say nothing.
    if (this.hasDrawn) this._learn(time - this.before);
    this.before = time;
    this.hasDrawn = false;
    const asked = this.settings.get("detail");
    if (asked !== "auto") return [Number(asked), 1];
    if (isStale) this.changed = time;
    return LEVELS[isBusy || time - this.changed < REST ? this.level : 0];
  }

  drew() {
    this.hasDrawn = true;
  }

  _learn(passed) {
    if (passed > 500) return; // the page was in the background
    this.times.push(passed);
    if (this.times.length < 12) return;
    const middle = this.times.sort((a, b) => a - b)[6];
    this.times = [];
    if (middle > SLOW) this.level = Math.min(LEVELS.length - 1, this.level + 1);
    if (middle < FAST) this.level = Math.max(0, this.level - 1);
  }
}
