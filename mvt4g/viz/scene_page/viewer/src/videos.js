// The two videos beside the cloud, with the tracks drawn on them.

import { VIEW_COLOURS } from "./stage.js";
import { trackIndex } from "./scene.js";

export class Videos {
  /** @param container holds one figure with a canvas a view */
  constructor(container, scene, settings) {
    this.scene = scene;
    this.settings = settings;
    this.shown = scene.views.map(() => -1); // frame that each canvas shows
    this.canvases = scene.views.map((view) => {
      const figure = document.createElement("figure");
      figure.style.setProperty("--tint", `rgb(${VIEW_COLOURS[view.name].map((value) => Math.round(255 * value))})`);
      figure.style.setProperty("--aspect", view.width / view.height);
      figure.innerHTML = `<canvas tabindex="0" title="Look through this camera"></canvas><figcaption><i></i>${view.label}</figcaption>`;
      container.append(figure);
      const canvas = figure.querySelector("canvas");
      canvas.id = `video-${view.name}`;
      canvas.addEventListener("click", () => settings.set("camera", settings.get("camera") === view.name ? "free" : view.name));
      settings.watch("camera", (camera) => figure.classList.toggle("bound", camera === view.name));
      return canvas;
    });
  }

  draw(frame, pictures) {
    this.canvases.forEach((canvas, view) => {
      const { width, height } = this.scene.views[view];
      // As many pixels as the screen shows: marks are sharp, and none is drawn in vain.
      const scale = (canvas.clientWidth * devicePixelRatio) / width || 1;
      const size = [Math.round(width * scale), Math.round(height * scale)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      const pen = canvas.getContext("2d", { willReadFrequently: true }); // drawn by the processor: thousands of short lines are slow on WebGL
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.imageSmoothingEnabled = scale < 3; // pixels of a tiny video are shown as they are
      pen.drawImage(pictures[view].colour, 0, 0, ...size);
      pen.setTransform(size[0] / width, 0, 0, size[1] / height, 0, 0);
      const unit = Math.max(width, height) / 504; // a mark's size follows the picture's
      if (this.scene.tracks && this.settings.get("videoTracks")) this._drawTracks(pen, view, frame, this.scene.tracks, unit);
      if (this.scene.truth && this.settings.get("trueTracks")) this._drawTruth(pen, view, frame, this.scene.truth, unit);
      this.shown[view] = frame;
    });
  }

  _drawTracks(pen, view, frame, tracks, unit) {
    const trail = this.settings.get("trail");
    pen.lineCap = pen.lineJoin = "round";
    for (let point = 0; point < tracks.count; point++) {
      const isSeen = tracks.seen[trackIndex(tracks, view, frame, point)] > 0;
      const now = position(tracks, view, frame, point);
      if (!now || (!isSeen && !this.settings.get("hidden"))) continue;
      const colour = tracks.colours[point].map((value) => Math.round(255 * value)).join(",");
      drawTrail(pen, tracks, view, frame, point, trail, `rgb(${colour})`, 1.7 * unit);
      drawDot(pen, now, isSeen, colour, unit);
    }
    pen.globalAlpha = 1;
  }

  _drawTruth(pen, view, frame, truth, unit) {
    pen.lineWidth = 1.4 * unit;
    for (let point = 0; point < truth.count; point++) {
      const now = position(truth, view, frame, point);
      if (!now) continue;
      pen.globalAlpha = truth.seen[trackIndex(truth, view, frame, point)] > 0 ? 1 : 0.35;
      for (const [colour, radius] of [["rgba(0,0,0,.55)", 5.2], ["white", 4.2]]) {
        pen.strokeStyle = colour;
        pen.beginPath();
        pen.arc(...now, radius * unit, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
    pen.globalAlpha = 1;
  }
}

function position(tracks, view, frame, point) {
  const at = 2 * trackIndex(tracks, view, frame, point);
  return Number.isNaN(tracks.pixels[at]) ? null : [tracks.pixels[at], tracks.pixels[at + 1]];
}

/** Draw where a point came from, the older half fainter: two strokes, since many short ones are slow. */
function drawTrail(pen, tracks, view, frame, point, trail, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  let later = position(tracks, view, frame, point);
  let age = 0;
  for (const [oldest, opacity] of [[trail / 2, 0.85], [trail, 0.4]]) {
    let isMoved = false;
    pen.globalAlpha = opacity;
    pen.beginPath();
    pen.moveTo(...later);
    while (age < oldest && frame - age > 0) {
      age++;
      const earlier = position(tracks, view, frame - age, point);
      if (!earlier) {
        age = Infinity;
        break;
      }
      if (Math.hypot(earlier[0] - later[0], earlier[1] - later[1]) < width) continue;
      pen.lineTo(...earlier);
      later = earlier;
      isMoved = true;
    }
    if (isMoved) pen.stroke();
  }
}

function drawDot(pen, now, isSeen, colour, unit) {
  pen.globalAlpha = isSeen ? 1 : 0.55;
  pen.beginPath();
  pen.arc(...now, (isSeen ? 3.2 : 2.8) * unit, 0, 2 * Math.PI);
  if (isSeen) {
    pen.fillStyle = `rgb(${colour})`;
    pen.fill();
    pen.strokeStyle = "rgba(0,0,0,.6)";
    pen.lineWidth = unit;
  } else {
    pen.strokeStyle = `rgb(${colour})`;
    pen.lineWidth = 1.5 * unit;
  }
  pen.stroke();
}
