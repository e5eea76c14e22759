// One page, one scene: reference and generated view in one world, frame by frame.

import { FrameStore } from "./frames.js";
import { icon } from "./icons.js";
import { listen } from "./keys.js";
import { linkToParent } from "./link.js";
import { Panel, Timeline } from "./panel.js";
import { Player } from "./player.js";
import { readScene } from "./scene.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Videos } from "./videos.js";

const find = (id) => document.getElementById(id);

function start() {
  const scene = readScene(document);
  const settings = new Settings(location.hash);
  settings.watch("theme", (theme) => (document.documentElement.dataset.theme = theme));
  document.body.classList.toggle("embedded", settings.start.embed === "1");
  const stage = new Stage(find("stage"), scene, settings);
  const videos = new Videos(find("videos"), scene, settings);
  const player = new Player(scene.times);
  new Panel(find("panel"), scene, settings);
  const timeline = new Timeline(find("timeline"), player, settings);
  const frames = new FrameStore(scene, (frame) => {
    timeline.showBuffered(frames.numReady / scene.frames);
    if (frame === player.frame) show();
  });

  let areVideosStale = false;
  const show = () => {
    const pictures = frames.get(player.frame);
    if (!pictures) return;
    stage.setFrame(player.frame, pictures);
    areVideosStale = true;
  };
  player.addEventListener("change", () => {
    frames.want(player.frame);
    show();
  });
  const redrawVideos = () => (areVideosStale = true);
  settings.addEventListener("change", redrawVideos);

  let before = performance.now();
  let isDragged = false;
  const canvas = find("stage");
  canvas.addEventListener("pointerdown", () => (isDragged = true));
  addEventListener("pointerup", () => (isDragged = false));
  const tick = (now) => {
    requestAnimationFrame(tick);
    const seconds = Math.min(0.1, (now - before) / 1000);
    before = now;
    player.tick(now, (frame) => Boolean(frames.get(frame)) || (frames.want(frame), false));
    const moves = stage.eye.tick(seconds);
    stage.tick(now, moves || isDragged || player.playing);
    const pictures = areVideosStale && frames.get(stage.frame);
    if (!pictures) return; // none yet, or given up for those of a frame that is wanted now
    videos.draw(stage.frame, pictures);
    areVideosStale = false;
    const { timing } = window.mvt4g;
    timing.firstPicture ??= performance.now();
  };

  const page = buttons(scene, settings, stage, player);
  listen({ scene, settings, player, stage, page }, find("help"));
  new ResizeObserver(() => {
    stage.resize();
    redrawVideos();
  }).observe(canvas.parentElement);
  markPicture(stage, settings);
  window.mvt4g = { scene, settings, player, stage, videos, frames, timing: {} };
  linkToParent({ stage, player, settings });
  player.seek(Number(settings.start.frame ?? 0));
  frames.want(player.frame);
  requestAnimationFrame(tick);
  if (settings.start.play === "1") player.toggle();
}

/** Wire the buttons of the head, and return what their keys do. */
function buttons(scene, settings, stage, player) {
  const help = find("help");
  const page = {
    help: () => (help.open ? help.close() : help.showModal()),
    flipTheme: () => settings.set("theme", settings.get("theme") === "dark" ? "light" : "dark"),
    save: async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await stage.screenshot());
      link.download = `${scene.title.replace(/[^\w.-]+/g, "_")}_${String(player.frame).padStart(5, "0")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
  };
  const actions = {
    home: ["home", "First view (0)", () => stage.eye.home()],
    shot: ["shot", "Save a picture (X)", page.save],
    theme: ["sun", "Light or dark (L)", page.flipTheme],
    keys: ["keys", "Keys (?)", page.help],
    settings: ["panel", "Panel (H)", () => settings.toggle("panel")],
  };
  for (const [id, [picture, title, act]] of Object.entries(actions)) {
    const button = find(`button-${id}`);
    button.innerHTML = icon(picture);
    button.title = title;
    button.addEventListener("click", act);
  }
  help.addEventListener("click", (event) => event.target === help && help.close());
  return page;
}

/** Frame the picture of the camera that is looked through. */
function markPicture(stage, settings) {
  const frame = find("picture");
  const place = () => {
    const { clientWidth, clientHeight } = stage.canvas;
    const rect = stage.eye.pictureRect(clientWidth, clientHeight);
    frame.hidden = !rect;
    if (!rect) return;
    const [left, top, width, height] = rect;
    Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  };
  settings.watch("camera", place);
  new ResizeObserver(place).observe(stage.canvas);
}

function tellTrouble(error) {
  find("trouble").hidden = false;
  find("trouble").textContent = `The scene cannot be shown: ${error.message}`;
}

addEventListener("unhandledrejection", ({ reason }) => tellTrouble(reason)); // a picture that cannot be decoded
try {
  start();
} catch (error) {
  tellTrouble(error);
  throw error;
}
