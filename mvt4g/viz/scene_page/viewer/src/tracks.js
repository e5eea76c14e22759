// Tracks in the world: dots where points are now, trails where they came from.

import { Group } from "three";
import { Dots, Lines, PULL } from "./marks.js";
import { trackIndex } from "./scene.js";

const HIDDEN = 0.5; // opacity of a hidden point
const SHORTEST = 0.006; // piece of a trail, in units of the median depth; a point that stands still has none

export class WorldTracks {
  /**
   * @param tracks of the scene, estimated or true
   * @param isTrue true tracks have one position for both views and are drawn as white rings
   */
  constructor(tracks, isTrue) {
    this.tracks = tracks;
    this.isTrue = isTrue;
    this.group = new Group();
    this.trails = new Lines(isTrue ? 1 : 1.6, { pull: PULL });
    this.dots = new Dots(isTrue ? 10 : 8.5);
    this.pairs = new Lines(1.4, { depthTest: false });
    this.group.add(this.trails.object, this.pairs.object, this.dots.object);
    this.on = { tracks: true, trail: 12, hidden: true, pairs: false, views: [0, 1] };
  }

  draw(frame) {
    const { tracks, on } = this;
    const dots = [];
    const trails = [];
    const views = this.isTrue ? [0] : on.views;
    for (const view of on.tracks ? views : []) {
      for (let point = 0; point < tracks.count; point++) this._drawPoint(view, frame, point, dots, trails);
    }
    this.dots.set(dots);
    this.trails.set(trails);
    this.pairs.set(on.tracks && on.pairs && !this.isTrue && views.length > 1 ? this._pairLines(frame) : []);
  }

  _position(view, frame, point) {
    const at = 3 * trackIndex(this.tracks, view, frame, point);
    const world = this.tracks.world;
    return Number.isNaN(world[at]) ? null : [world[at], world[at + 1], world[at + 2]];
  }

  _drawPoint(view, frame, point, dots, trails) {
    const { tracks, on, isTrue } = this;
    const isSeen = tracks.seen[trackIndex(tracks, view, frame, point)] > 0;
    const now = this._position(view, frame, point);
    if (!now || (!isSeen && !on.hidden && !isTrue)) return;
    const colour = tracks.colours[point];
    if (isTrue) dots.push([now, [...this.ink, 1.9]]);
    else dots.push([now, [...colour, isSeen ? 1 : 1 + HIDDEN]]);
    this._addTrail(view, frame, point, [isTrue ? this.ink : colour, isSeen ? 0.9 : HIDDEN], trails);
  }

  _addTrail(view, frame, point, [tone, opacity], trails) {
    const length = this.on.trail;
    let later = this._position(view, frame, point);
    let laterOpacity = opacity;
    for (let age = 1; age <= length && frame - age >= 0; age++) {
      const earlier = this._position(view, frame - age, point);
      if (!earlier) return;
      const moved = Math.hypot(earlier[0] - later[0], earlier[1] - later[1], earlier[2] - later[2]);
      if (moved < SHORTEST) continue;
      const earlierOpacity = opacity * (1 - age / (length + 1));
      trails.push([earlier, later, [...tone, earlierOpacity], [...tone, laterOpacity]]);
      [later, laterOpacity] = [earlier, earlierOpacity];
    }
  }

  /** Return a line from where one view puts a point to where the other does: their disagreement. */
  _pairLines(frame) {
    const lines = [];
    for (let point = 0; point < this.tracks.count; point++) {
      const [one, other] = [this._position(0, frame, point), this._position(1, frame, point)];
      if (one && other) lines.push([one, other, [...this.ink, 0.85]]);
    }
    return lines;
  }
}
