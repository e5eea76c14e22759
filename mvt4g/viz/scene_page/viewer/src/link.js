// Scenes in the frames of one page (a gallery, a report) that move together.

const CHANNEL = "mvt4g-scene";

/** Tell the page around this one what moves, and follow what it says. */
export function linkToParent({ stage, player, settings }) {
  if (parent === window) return;
  const say = (what) => parent.postMessage({ channel: CHANNEL, ...what }, "*");
  let follows = false;
  stage.eye.addEventListener("moved", () => follows || say({ pose: stage.eye.pose }));
  player.addEventListener("change", () => follows || say({ frame: player.frame, playing: player.playing }));
  addEventListener("message", ({ data, source }) => {
    if (source !== parent || data?.channel !== CHANNEL) return;
    follows = true;
    if (data.pose) stage.eye.pose = data.pose;
    if (data.theme) settings.set("theme", data.theme === "light" ? "light" : "dark");
    if (data.playing !== undefined && data.playing !== player.playing) player.toggle();
    if (data.frame !== undefined && Math.abs(data.frame - player.frame) > (player.playing ? 1 : 0)) player.seek(data.frame);
    follows = false;
  });
  say({ ready: true });
}
