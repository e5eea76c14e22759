// The panel of switches, and the bar under the picture.

import { icon } from "./icons.js";
import { VIEW_COLOURS } from "./stage.js";

export const SPEEDS = [0.25, 0.5, 1, 2, 4];

export class Panel {
  constructor(root, scene, settings) {
    this.root = root;
    this.settings = settings;
    this._clouds(scene);
    this._cameras(scene);
    if (scene.tracks || scene.truth) this._tracks(scene);
    settings.watch("panel", (open) => document.body.classList.toggle("with-panel", open));
  }

  _clouds(scene) {
    const part = this._part("Clouds");
    const row = this._row(part);
    scene.views.forEach((view, i) => this._switch(row, view.name, view.label, String(i + 1), VIEW_COLOURS[view.name]));
    this._choice(part, "colour", "Colour", [["true", "true"], ["view", "by view"], ["depth", "by depth"]]);
    this._choice(part, "style", "Drawn as", [["surface", "surface"], ["points", "points"]]);
    this._slider(part, "size", "Point size", 0.4, 3, 0.05, (value) => `${value.toFixed(2)}×`);
    const depthSays = (value) => (value > 0 ? `${Math.round(100 * value)} %` : "off");
    this._slider(part, "edges", "Depth edges over", 0, 0.5, 0.01, depthSays, "Leaves out pixels where inverse depth jumps by more");
    if (scene.views.some((view) => view.hasConfidence)) {
      this._slider(part, "confidence", "Least confident", 0, 0.9375, 0.0625, depthSays, "Leaves out this share of the pixels");
    }
    this._choice(part, "detail", "Detail", [["auto", "auto"], ["1", "full"], ["2", "1/2"], ["3", "1/3"], ["4", "1/4"]]);
  }

  _cameras(scene) {
    const part = this._part("Cameras");
    const names = scene.views.map((view) => [view.name, view.label.toLowerCase()]);
    this._choice(part, "camera", "Eye", [["free", "free"], ...names]);
    const row = this._row(part);
    this._switch(row, "frusta", "Frusta", "F");
    this._switch(row, "paths", "Paths", "P");
    this._switch(row, "images", "Pictures", "I");
    if (scene.views.some((view) => view.truePoses)) this._switch(row, "trueCameras", "True cameras", "G");
    this._switch(row, "sway", "Sway", "O");
  }

  _tracks(scene) {
    const part = this._part("Tracks");
    const row = this._row(part);
    if (scene.tracks) {
      this._switch(row, "tracks", "In 3D", "M");
      this._switch(row, "videoTracks", "On videos", "V");
      this._switch(row, "hidden", "Hidden points", "U");
      if (scene.views.length > 1) this._switch(row, "pairs", "Pair lines", "J");
    }
    if (scene.truth) this._switch(row, "trueTracks", "True tracks", "N");
    this._slider(part, "trail", "Trails", 0, Math.min(60, Math.max(1, scene.frames - 1)), 1, (value) => `${value} frames`);
  }

  _part(title) {
    const part = document.createElement("section");
    part.innerHTML = `<h2>${title}</h2>`;
    this.root.append(part);
    return part;
  }

  _row(part) {
    const row = document.createElement("div");
    row.className = "switches";
    part.append(row);
    return row;
  }

  _switch(row, name, label, key, colour) {
    const button = document.createElement("button");
    button.className = "switch";
    button.id = `switch-${name}`;
    button.innerHTML = `<i></i>${label}`;
    button.title = `${label} (${key})`;
    if (colour) button.style.setProperty("--tint", `rgb(${colour.map((value) => Math.round(255 * value))})`);
    button.addEventListener("click", () => this.settings.toggle(name));
    this.settings.watch(name, (on) => button.setAttribute("aria-pressed", on));
    row.append(button);
  }

  _choice(part, name, label, options) {
    const row = document.createElement("div");
    row.className = "choice";
    row.innerHTML = `<span>${label}</span>`;
    const group = document.createElement("div");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", label);
    for (const [value, text] of options) {
      const button = document.createElement("button");
      button.textContent = text;
      button.id = `${name}-${value}`;
      button.addEventListener("click", () => this.settings.set(name, value));
      this.settings.watch(name, (now) => button.setAttribute("aria-pressed", String(now) === value));
      group.append(button);
    }
    row.append(group);
    part.append(row);
  }

  _slider(part, name, label, min, max, step, tell, title = "") {
    const row = document.createElement("label");
    row.className = "slider";
    row.title = title;
    row.innerHTML = `<span>${label}</span><output></output><input type="range" id="slider-${name}" min="${min}" max="${max}" step="${step}">`;
    const input = row.querySelector("input");
    input.addEventListener("input", () => this.settings.set(name, Number(input.value)));
    this.settings.watch(name, (value) => {
      input.value = value;
      input.style.setProperty("--share", `${(100 * (value - min)) / (max - min)}%`);
      row.querySelector("output").textContent = tell(Number(value));
    });
    part.append(row);
  }
}

/** The bar under the picture: play, frame, time and speed. */
export class Timeline {
  constructor(root, player, settings) {
    root.innerHTML = `
      <button id="back" title="One frame back (,)">${icon("back")}</button>
      <button id="play" class="round" title="Play or pause (space)">${icon("play")}</button>
      <button id="next" title="One frame on (.)">${icon("next")}</button>
      <div class="track"><i id="buffered"></i><input id="frame" type="range" min="0" step="1" aria-label="Frame"></div>
      <output id="clock"></output>
      <button id="speed" class="text" title="Speed ([ and ])"></button>`;
    const find = (id) => root.querySelector(`#${id}`);
    this.input = find("frame");
    this.input.max = player.numFrames - 1;
    this.player = player;
    this.clock = find("clock");
    this.button = find("play");
    this.buffered = find("buffered");
    find("back").addEventListener("click", () => player.step(-1));
    find("next").addEventListener("click", () => player.step(1));
    this.button.addEventListener("click", () => player.toggle());
    this.input.addEventListener("input", () => player.seek(Number(this.input.value)));
    for (const id of ["back", "play", "next", "frame"]) find(id).disabled = player.numFrames < 2;
    find("speed").addEventListener("click", () => settings.set("speed", SPEEDS[(SPEEDS.indexOf(settings.get("speed")) + 1) % SPEEDS.length]));
    settings.watch("speed", (speed) => {
      player.speed = speed;
      find("speed").textContent = `${speed}×`;
    });
    player.addEventListener("change", () => this.show());
    this.show();
  }

  show() {
    const { player, input } = this;
    const last = player.numFrames - 1;
    input.value = player.frame;
    input.style.setProperty("--share", `${last ? (100 * player.frame) / last : 0}%`);
    const digits = String(last).length;
    this.clock.textContent = `${String(player.frame).padStart(digits, "0")} / ${last}  ·  ${player.times[player.frame].toFixed(2)} s`;
    if (this.isPlaying === player.playing) return;
    this.isPlaying = player.playing;
    this.button.innerHTML = icon(player.playing ? "pause" : "play");
    this.button.setAttribute("aria-pressed", player.playing);
  }

  /** @param share of the frames that are decoded */
  showBuffered(share) {
    this.buffered.style.width = `${100 * share}%`;
    this.buffered.classList.toggle("all", share >= 1);
  }
}
