// The keyboard.

import { SPEEDS } from "./panel.js";

const FLY = ["w", "a", "s", "d", "q", "e"];
const COLOURS = ["true", "view", "depth"];

/** Return what each key does: [keys, what the help says, action]. */
function shortcuts({ scene, settings, player, stage, page }) {
  const names = scene.views.map((view) => view.name);
  const look = (name) => names.includes(name) && settings.set("camera", settings.get("camera") === name ? "free" : name);
  const quicker = (by) => settings.set("speed", SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(settings.get("speed")) + by))]);
  const bigger = (by) => settings.set("size", Math.max(0.4, Math.min(3, settings.get("size") * by)));
  const flip = (name) => () => settings.toggle(name);
  const table = [
    [[" "], "play or pause", () => player.toggle()],
    [["ArrowLeft", ","], "one frame back", () => player.step(-1)],
    [["ArrowRight", "."], "one frame on", () => player.step(1)],
    [["Home"], "first frame", () => player.seek(0)],
    [["End"], "last frame", () => player.seek(player.numFrames - 1)],
    [["["], "slower", () => quicker(-1)],
    [["]"], "faster", () => quicker(1)],
    [FLY, "fly: ahead, left, back, right, down, up", null],
    [["0", "Escape"], "back to the first view", () => stage.eye.home()],
    [["r"], "look through the reference's camera", () => look("reference")],
    [["t"], "look through the target's camera", () => look("generated")],
    [["o"], "sway", flip("sway")],
    [["1"], "reference's cloud", flip("reference")],
    [["2"], "generated cloud", flip("generated")],
    [["c"], "colour: true, by view, by depth", () => settings.set("colour", COLOURS[(COLOURS.indexOf(settings.get("colour")) + 1) % 3])],
    [["b"], "surface or points", () => settings.set("style", settings.get("style") === "points" ? "surface" : "points")],
    [["-"], "smaller points", () => bigger(1 / 1.15)],
    [["+", "="], "larger points", () => bigger(1.15)],
    [["f"], "frusta", flip("frusta")],
    [["p"], "camera paths", flip("paths")],
    [["i"], "pictures in the frusta", flip("images")],
    [["g"], "true cameras", flip("trueCameras")],
    [["m"], "tracks in 3D", flip("tracks")],
    [["v"], "tracks on the videos", flip("videoTracks")],
    [["u"], "hidden points", flip("hidden")],
    [["j"], "lines between a point's two positions", flip("pairs")],
    [["n"], "true tracks", flip("trueTracks")],
    [["x"], "save a picture", () => page.save()],
    [["l"], "light or dark", () => page.flipTheme()],
    [["h"], "hide or show the panel", flip("panel")],
    [["?"], "this list", () => page.help()],
  ];
  return table;
}

const SHOWN = { " ": "space", ArrowLeft: "←", ArrowRight: "→", Escape: "esc" };

/** Listen to the keyboard, and fill the list that ? opens. */
export function listen(parts, help) {
  const table = shortcuts(parts);
  const actions = new Map();
  for (const [keys, , act] of table) for (const key of act ? keys : []) actions.set(key, act);
  const show = (keys) => keys.map((key) => `<kbd>${SHOWN[key] ?? key.toUpperCase()}</kbd>`).join(" ");
  help.querySelector("dl").innerHTML = table.map(([keys, tells]) => `<div><dt>${show(keys)}</dt><dd>${tells}</dd></div>`).join("");

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const isSlider = event.target.matches?.("input[type=range]");
    if (isSlider && /^(Arrow|Home|End|Page)/.test(key)) return; // the slider's own keys
    if (help.open && key === "Escape") return; // closes the list
    if (FLY.includes(key)) return void parts.stage.eye.flying.add(key);
    const act = actions.get(key);
    if (!act) return;
    event.preventDefault(); // space would press the button that has the focus
    act();
  });
  addEventListener("keyup", (event) => parts.stage.eye.flying.delete(event.key.toLowerCase()));
  addEventListener("blur", () => parts.stage.eye.flying.clear());
}
