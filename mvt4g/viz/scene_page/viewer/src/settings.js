// What the user may set; everything that draws listens to it.

const DEFAULTS = {
  reference: true,
  generated: true,
  colour: "true", // true, view or depth
  style: "surface", // or points
  size: 1,
  detail: "auto", // auto, or the step between the pixels that are drawn
  confidence: 0, // share of the least confident pixels that is left out
  edges: 0.1, // jump of inverse depth beyond which a pixel is left out; 0 = none is
  frusta: true,
  paths: true,
  images: false,
  trueCameras: true,
  tracks: true,
  videoTracks: true,
  trail: 12,
  hidden: true,
  pairs: false,
  trueTracks: false,
  camera: "free", // free, or the name of a view
  speed: 1,
  sway: false,
  panel: true,
  theme: "dark",
};

export class Settings extends EventTarget {
  /** @param hash what follows # in the address, e.g. "colour=view&tracks=0": values to begin with */
  constructor(hash) {
    super();
    const prefersLight = matchMedia("(prefers-color-scheme: light)").matches;
    const isWide = matchMedia("(min-width: 1101px)").matches; // else the panel lies over the picture
    this.values = { ...DEFAULTS, theme: prefersLight ? "light" : "dark", panel: isWide };
    this.start = Object.fromEntries(new URLSearchParams(hash.replace(/^#/, "")));
    for (const [name, text] of Object.entries(this.start)) {
      if (name in DEFAULTS) this.values[name] = parsed(text, DEFAULTS[name]);
    }
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    this.dispatchEvent(new CustomEvent("change", { detail: name }));
  }

  toggle(name) {
    this.set(name, !this.values[name]);
  }

  /** Call `react(value)` now and whenever the value changes. */
  watch(name, react) {
    this.addEventListener("change", (event) => {
      if (event.detail === name) react(this.values[name]);
    });
    react(this.values[name]);
  }
}

function parsed(text, like) {
  if (typeof like === "boolean") return text !== "0" && text !== "false";
  if (typeof like === "number") return Number.isFinite(Number(text)) ? Number(text) : like;
  return text;
}
