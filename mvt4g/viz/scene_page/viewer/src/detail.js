// How finely clouds are drawn: coarser while they move on a slow machine, every pixel once they rest.

const REST = 180; // milliseconds without a change after which every pixel is drawn
const SLOW = 42; // milliseconds a drawing beyond which detail is given up
const FAST = 22; // and under which it is taken back
const COARSEST = 4;

export class Detail {
  constructor(settings, isSoftware) {
    this.settings = settings;
    this.moving = isSoftware ? 3 : 1;
    this.times = [];
    this.changed = -Infinity;
  }

  /** Return the step between the pixels to draw now. */
  stride(now, isStale, isBusy) {
    const asked = this.settings.get("detail");
    if (asked !== "auto") return Number(asked);
    if (isStale) this.changed = now;
    return isBusy || now - this.changed < REST ? this.moving : 1;
  }

  /** Note that something was drawn; adapt to the time from one drawing to the next. */
  drew(now) {
    const passed = now - (this.before ?? -Infinity);
    this.before = now;
    if (passed > 500) return; // a pause, not a slow drawing
    this.times.push(passed);
    if (this.times.length < 12) return;
    const middle = this.times.sort((a, b) => a - b)[6];
    this.times = [];
    if (middle > SLOW) this.moving = Math.min(COARSEST, this.moving + 1);
    if (middle < FAST) this.moving = Math.max(1, this.moving - 1);
  }
}
