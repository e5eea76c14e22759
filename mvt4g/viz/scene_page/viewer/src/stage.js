// The 3D picture: clouds, cameras and tracks, drawn when something has changed.

import { Color, ColorManagement, Group, Scene, WebGLRenderer } from "three";
import { CameraMarks } from "./cameras.js";
import { Cloud } from "./cloud.js";
import { Detail } from "./detail.js";
import { Eye } from "./eye.js";
import { WorldTracks } from "./tracks.js";

ColorManagement.enabled = false; // pictures are shown as they are

export const VIEW_COLOURS = { reference: [0.3, 0.62, 1.0], generated: [1.0, 0.57, 0.22] };
const BACKGROUNDS = { dark: 0x0c0f14, light: 0xf3f5f8 };
const INKS = { dark: [1, 1, 1], light: [0.12, 0.14, 0.18] };
const FRUSTUM = 0.17; // diagonal of a frustum's picture, in units of the median depth

export class Stage {
  constructor(canvas, scene, settings) {
    this.canvas = canvas;
    this.scene = scene;
    this.settings = settings;
    // Without an alpha channel, putting the picture into the page is a copy.
    const context = canvas.getContext("webgl2", { alpha: false, antialias: false, powerPreference: "high-performance" });
    if (!context) throw new Error("this browser has no WebGL 2, or it is switched off");
    this.renderer = new WebGLRenderer({ canvas, context });
    this.isSoftware = drawsInSoftware(context);
    document.documentElement.classList.toggle("software", this.isSoftware);
    this.renderer.sortObjects = false;
    this.world = new Scene();
    this.root = new Group();
    this.root.rotation.x = Math.PI; // OpenCV's y points down
    this.world.add(this.root);
    this.clouds = scene.views.map((view) => new Cloud(view, VIEW_COLOURS[view.name]));
    this.marks = scene.views.map((view, i) => new CameraMarks(view, this.clouds[i], VIEW_COLOURS[view.name], FRUSTUM));
    this.tracks = scene.tracks && new WorldTracks(scene.tracks, false);
    this.truth = scene.truth && new WorldTracks(scene.truth, true);
    for (const part of [...this.clouds.map((cloud) => cloud.group), ...this.marks.map((mark) => mark.group)]) this.root.add(part);
    for (const part of [this.tracks, this.truth]) if (part) this.root.add(part.group);
    this.eye = new Eye(canvas, scene, settings);
    this.detail = new Detail(settings, this.isSoftware);
    this.share = 1; // of the screen's pixels
    this.numDrawn = 0;
    this.isStale = true;
    this.areMarksStale = true;
    this.eye.addEventListener("change", () => this.invalidate());
    this._listen();
  }

  _listen() {
    const { settings, clouds, marks, tracks, truth } = this;
    this.scene.views.forEach((view, i) => settings.watch(view.name, (on) => (clouds[i].group.visible = on)));
    settings.watch("colour", (mode) => clouds.forEach((cloud) => cloud.setColour(mode)));
    settings.watch("style", (style) => clouds.forEach((cloud) => cloud.setStyle(style)));
    settings.watch("size", (size) => clouds.forEach((cloud) => (cloud.size = size)));
    settings.watch("edges", (jump) => clouds.forEach((cloud) => cloud.setMaxEdge(jump)));
    settings.watch("confidence", (share) => clouds.forEach((cloud) => cloud.setMinConfidence(share)));
    for (const name of ["frusta", "paths", "images", "trueCameras"]) settings.watch(name, (on) => marks.forEach((mark) => (mark.on[name] = on)));
    if (tracks) for (const name of ["tracks", "trail", "hidden", "pairs"]) settings.watch(name, (on) => (tracks.on[name] = on));
    if (truth) {
      settings.watch("trueTracks", (on) => (truth.on.tracks = on));
      settings.watch("trail", (length) => (truth.on.trail = length));
    }
    settings.watch("theme", (theme) => {
      this.renderer.setClearColor(new Color(BACKGROUNDS[theme] ?? BACKGROUNDS.dark));
      for (const part of [tracks, truth]) if (part) part.ink = INKS[theme] ?? INKS.dark;
    });
    settings.addEventListener("change", () => this.invalidate(true));
  }

  /** Ask for a drawing; `marks` says that lines and dots have changed too. */
  invalidate(marks = false) {
    this.isStale = true;
    this.areMarksStale ||= marks;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    // More pixels than the screen has make edges smooth where that costs nothing.
    const ratio = this.isSoftware ? 1 : Math.max(1.5, Math.min(2, devicePixelRatio));
    this.renderer.setPixelRatio(ratio * this.share);
    this.renderer.setSize(width, height, true);
    this.invalidate();
  }

  setFrame(frame, pictures) {
    this.frame = frame;
    this.eye.frame = frame;
    this.clouds.forEach((cloud, i) => cloud.setFrame(frame, pictures[i]));
    this.invalidate(true);
  }

  /**
   * Draw if something has changed, else once more in full detail if the last drawing was a coarse one.
   *
   * @return whether it drew
   */
  tick(now, isBusy) {
    if (this.frame === undefined) return false;
    const [stride, share] = this.detail.now(now, this.isStale, isBusy);
    const refines = stride !== this.clouds[0].stride || share !== this.share;
    if (!this.isStale && !refines) return false;
    this.clouds.forEach((cloud) => cloud.setStride(stride));
    if (share !== this.share) {
      this.share = share;
      this.resize();
    }
    this._draw();
    this.detail.drew();
    return true;
  }

  _draw() {
    if (this.areMarksStale) {
      this.marks.forEach((mark) => mark.draw(this.frame));
      for (const part of [this.tracks, this.truth]) part?.draw(this.frame);
    }
    this.isStale = this.areMarksStale = false;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const camera = this.eye.camera(this.frame, width, height);
    this._hideOwnFrustum();
    this.renderer.render(this.world, camera);
    this.numDrawn++;
  }

  /** A camera that is looked through would see its own frustum. */
  _hideOwnFrustum() {
    this.marks.forEach((mark) => (mark.group.visible = this.settings.get("camera") !== mark.view.name));
  }

  /** Return the picture as a PNG blob. */
  async screenshot() {
    this.clouds.forEach((cloud) => cloud.setStride(1));
    this.share = 1;
    this.resize();
    this._draw(); // a picture is kept until the task that drew it ends
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }
}

/** Say whether WebGL is computed by the processor, which wants simpler pictures. */
function drawsInSoftware(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}
