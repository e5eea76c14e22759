// A page of scenes: each is loaded into a frame when it is opened; open ones move together.
"use strict";
(() => {
  const CHANNEL = "mvt4g-scene";
  const MOST = 6; // scenes open at a time: each holds a WebGL context and its decoded pictures
  const find = (id) => document.getElementById(id);
  const scenes = JSON.parse(find("list").textContent);
  const open = new Map(); // scene -> {figure, frame, ready}
  const cards = new Map();

  function card(scene) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = scene.href;
    const picture = new Image();
    picture.loading = "lazy";
    picture.alt = "";
    if (scene.poster) picture.src = scene.poster;
    const text = document.createElement("div");
    for (const [tag, words] of [["b", scene.title], ["span", scene.subtitle]]) {
      const line = document.createElement(tag);
      line.textContent = words;
      text.append(line);
    }
    link.append(picture, text);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      toggle(scene, event.ctrlKey || event.metaKey);
    });
    const beside = document.createElement("button");
    beside.textContent = "+";
    beside.title = "Open beside the others";
    beside.addEventListener("click", () => toggle(scene, true));
    item.append(link, beside);
    cards.set(scene, item);
    return item;
  }

  function toggle(scene, isBeside) {
    if (open.has(scene)) return close(scene);
    if (!isBeside) for (const other of [...open.keys()]) close(other);
    if (open.size >= MOST) close(open.keys().next().value);
    const figure = document.createElement("figure");
    const frame = document.createElement("iframe");
    frame.src = `${scene.href}#embed=1&panel=0&theme=${document.documentElement.dataset.theme}`;
    frame.title = scene.title;
    frame.allow = "fullscreen";
    const caption = document.createElement("figcaption");
    caption.append(scene.title);
    const button = document.createElement("button");
    button.textContent = "×";
    button.title = "Close";
    button.addEventListener("click", () => close(scene));
    caption.append(button);
    figure.append(frame, caption);
    find("stage").append(figure);
    open.set(scene, { figure, frame });
    show();
    find("stage").scrollIntoView({ block: "nearest" });
  }

  function close(scene) {
    open.get(scene).figure.remove();
    open.delete(scene);
    show();
  }

  function show() {
    find("stage").hidden = open.size === 0;
    find("stage").classList.toggle("several", open.size > 1);
    for (const [scene, item] of cards) item.classList.toggle("open", open.has(scene));
  }

  // What one scene does, the others do.
  addEventListener("message", ({ data, source }) => {
    if (data?.channel !== CHANNEL || data.ready || !find("lock").checked) return;
    for (const { frame } of open.values()) {
      if (frame.contentWindow !== source) frame.contentWindow.postMessage(data, "*");
    }
  });

  const flip = () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    for (const { frame } of open.values()) frame.contentWindow.postMessage({ channel: CHANNEL, theme }, "*");
  };
  if (matchMedia("(prefers-color-scheme: light)").matches) flip();
  find("theme").addEventListener("click", flip);
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "l" && event.target !== find("search")) flip();
  });
  find("search").addEventListener("input", () => {
    const words = find("search").value.toLowerCase().split(/\s+/);
    for (const [scene, item] of cards) {
      const text = `${scene.title} ${scene.subtitle}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
  });
  find("scenes").append(...scenes.map(card));
  find("count").textContent = scenes.length === 1 ? "1 scene" : `${scenes.length} scenes`;
  window.mvt4gGallery = { scenes, open, toggle };
})();
