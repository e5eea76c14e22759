// The page's behaviour: one clock for all videos, a picker of scene and camera, one drawing of all camera paths.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chosen = { clip: 0, camera: 0, method: 0, point: 0 };
  const clock = { frame: 0, playing: false, speed: 1, last: null, length: 1 };
  let shown = []; // the videos on the page: {video, frames, fps}
  const body = document.body;
  const at = (id) => document.getElementById(id);

  function make(kind, inside = {}, ...children) {
    const node = Object.assign(document.createElement(kind), inside);
    node.append(...children);
    return node;
  }

  // A row of buttons of which one is pressed.
  function picker(id, label, names, key, after) {
    const row = at(id);
    row.replaceChildren(make("span", { className: "of", textContent: label }));
    names.forEach((name, index) => {
      const button = make("button", { type: "button", textContent: name });
      button.setAttribute("aria-pressed", String(chosen[key] === index));
      button.addEventListener("click", () => { chosen[key] = index; after(); });
      row.append(button);
    });
  }

  function figure(name, entry, why, isReference) {
    const caption = make("figcaption", {}, make("b", { textContent: name }));
    const note = entry ? entry.note : "";
    if (note) caption.append(" ", note);
    const holder = make("figure", { className: isReference ? "reference" : "" });
    if (!entry) {
      holder.append(make("div", { className: "nothing", textContent: why || "no video" }), caption);
      return holder;
    }
    const video = make("video", { muted: true, playsInline: true, preload: "auto", src: entry.src });
    video.addEventListener("loadedmetadata", () => video.style.setProperty("--shape", `${video.videoWidth} / ${video.videoHeight}`));
    const one = { video, frames: entry.frames, fps: entry.fps, loaded: false, failed: false };
    video.addEventListener("error", () => {
      one.failed = true;
      video.replaceWith(make("div", { className: "nothing", textContent: "this browser cannot play it" }));
      report();
    });
    video.addEventListener("loadeddata", () => {
      one.loaded = true;
      seek(one);
      report();
    });
    shown.push(one);
    holder.append(video, caption);
    return holder;
  }

  // Time goes by frames: the middle of a frame is asked for, so that rounding never shows its neighbour.
  const timeOf = (one) => (Math.min(Math.floor(clock.frame), one.frames - 1) + 0.5) / one.fps;
  function seek(one) { if (!one.failed) one.video.currentTime = timeOf(one); }
  const isReady = (one) => one.failed || one.video.readyState >= 2;

  function report() {
    body.dataset.videos = shown.length;
    body.dataset.loaded = shown.filter((one) => one.loaded).length;
    body.dataset.failed = shown.filter((one) => one.failed).length;
  }

  function say() {
    const frame = Math.min(Math.floor(clock.frame), clock.length - 1);
    at("frame").value = frame;
    at("now").textContent = `frame ${frame + 1} of ${clock.length}`;
    document.querySelectorAll(".plan circle[data-points]").forEach((dot) => {
      const points = dot.dataset.points.split(" ");
      const [x, y] = points[Math.min(frame, points.length - 1)].split(",");
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
    });
  }

  function pauseAll() { shown.forEach((one) => { if (!one.failed) one.video.pause(); }); }

  function play(on) {
    clock.playing = on;
    clock.last = null;
    at("play").textContent = on ? "pause" : "play";
    if (!on) { pauseAll(); clock.frame = Math.floor(clock.frame); shown.forEach(seek); }
  }

  function keepInStep(one) {
    const video = one.video;
    if (one.failed) return;
    if (clock.frame >= one.frames) { // shorter than the longest: its last frame stays
      if (!video.paused) { video.pause(); seek(one); }
      return;
    }
    const ahead = video.currentTime * one.fps - (clock.frame + 0.5);
    if (Math.abs(ahead) > 2) video.currentTime = (clock.frame + 0.5) / one.fps;
    const rate = clock.speed * data.fps / one.fps * Math.min(1.25, Math.max(0.75, 1 - 0.1 * ahead));
    if (Math.abs(video.playbackRate - rate) > 0.01) video.playbackRate = rate;
    if (video.paused) video.play().catch(() => {}); // the browser may refuse until somebody clicks
  }

  function tick(now) {
    if (clock.playing) {
      const passed = clock.last === null ? 0 : Math.min(0.1, (now - clock.last) / 1000);
      clock.last = now;
      if (shown.every(isReady)) { // the clock waits for the slowest
        clock.frame += passed * data.fps * clock.speed;
        if (clock.frame >= clock.length) { clock.frame = 0; pauseAll(); shown.forEach(seek); }
        shown.forEach(keepInStep);
      }
      say();
    }
    requestAnimationFrame(tick);
  }

  function drawPlan(clip, camera) {
    const plan = at(`plan-${chosen.clip}`);
    at("plan").replaceChildren(plan ? plan.content.cloneNode(true) : "");
    document.querySelectorAll(".plan [data-camera]").forEach((group) => {
      const index = clip.cameras.findIndex((entry) => entry.name === group.dataset.camera);
      group.classList.toggle("chosen", clip.cameras[index] === camera);
      if (index >= 0) group.addEventListener("click", () => { chosen.camera = index; show(); });
    });
  }

  function show() {
    const clip = data.clips[chosen.clip];
    chosen.camera = Math.min(chosen.camera, clip.cameras.length - 1);
    const camera = clip.cameras[chosen.camera];
    const method = data.methods[chosen.method];
    pauseAll();
    shown = [];
    picker("clips", "scene", data.clips.map((entry) => entry.name), "clip", show);
    picker("cameras", "camera", clip.cameras.map((entry) => entry.name), "camera", show);
    picker("methods", "method", data.methods, "method", show);
    const reference = () => figure("reference", clip.reference, data.no_reference, true);
    at("side").replaceChildren(reference(), ...data.methods.map((name) => figure(name, camera.videos[name], camera.why[name])));
    at("every").replaceChildren(reference(),
      ...clip.cameras.map((entry) => figure(entry.name, entry.videos[method], entry.why[method])));
    drawPlan(clip, camera);
    clock.length = Math.max(1, ...shown.map((one) => one.frames));
    clock.frame = Math.min(clock.frame, clock.length - 1);
    at("frame").max = clock.length - 1;
    say();
    report();
  }

  function showPoint() {
    if (!data.points.length) return;
    const point = data.points[chosen.point];
    picker("points", "query point", data.points.map((entry) => entry.name), "point", showPoint);
    at("looks").replaceChildren(...point.pictures.map((entry) =>
      make("figure", {}, make("img", { src: entry.src, alt: entry.name }), make("figcaption", { textContent: entry.name }))));
  }

  at("play").addEventListener("click", () => play(!clock.playing));
  at("frame").addEventListener("input", (event) => {
    play(false);
    clock.frame = Number(event.target.value);
    shown.forEach(seek);
    say();
  });
  at("speed").addEventListener("change", (event) => { clock.speed = Number(event.target.value); });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, button")) return;
    if (event.key === " ") { event.preventDefault(); play(!clock.playing); }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      play(false);
      clock.frame = (clock.frame + step + clock.length) % clock.length;
      shown.forEach(seek);
      say();
    }
  });

  // page.html#dog/cam03/40 opens a scene, a camera and a frame.
  const [clipName, cameraName, frame] = decodeURIComponent(location.hash.slice(1)).split("/");
  chosen.clip = Math.max(0, data.clips.findIndex((entry) => entry.name === clipName));
  if (data.clips.length) {
    const cameras = data.clips[chosen.clip].cameras;
    chosen.camera = Math.max(0, cameras.findIndex((entry) => entry.name === cameraName));
    clock.frame = Number.isFinite(Number(frame)) ? Number(frame) : 0;
    show();
  }
  showPoint();
  requestAnimationFrame(tick);
})();
