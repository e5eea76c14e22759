// The eye: free to orbit, pan, zoom and fly, or bound to one of the scene's cameras.

import { Camera, Matrix4, PerspectiveCamera, Vector3 } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const FOV = 50;
const NEAR = 0.01;
const FAR = 500;
const HOME = new Vector3(0.52, 0.34, 0.62); // from the reference camera, in units of the median depth
const FROM_OPENCV = new Matrix4().makeScale(1, -1, -1); // x right, y up, z backward
const SWAY = { x: 0.16, y: 0.05, seconds: 9 };

export class Eye extends EventTarget {
  constructor(canvas, scene, settings) {
    super();
    this.scene = scene;
    this.settings = settings;
    this.free = new PerspectiveCamera(FOV, 1, NEAR, FAR);
    this.bound = new Camera();
    this.bound.matrixAutoUpdate = this.bound.matrixWorldAutoUpdate = false;
    this.controls = new OrbitControls(this.free, canvas);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.18;
    this.controls.zoomToCursor = true;
    this.controls.minDistance = 0.02;
    this.controls.maxDistance = 60;
    this.controls.addEventListener("change", () => this._tell());
    this.controls.addEventListener("start", () => this._letGo());
    this.flying = new Set(); // keys that are held down
    this.swayed = new Vector3();
    this._standAtHome();
  }

  /** Stand beside the reference camera and look at what it looks at. */
  home() {
    this.settings.set("camera", "free");
    this._standAtHome();
  }

  _standAtHome() {
    this.controls.enableDamping = false;
    this.controls.update(); // forgets what is left of a drag's momentum
    this.controls.enableDamping = true;
    this.controls.target.set(0, 0, -1);
    this.free.position.copy(HOME);
    this.controls.update();
    this._tell();
  }

  /** The three.js camera to draw with, for frame `frame` on a canvas of `width` x `height`. */
  camera(frame, width, height) {
    const view = this._boundView();
    if (!view) {
      this.free.aspect = width / height;
      // A narrow screen keeps the width of the scene in sight.
      this.free.fov = width < height ? Math.min(85, FOV * Math.sqrt(height / width)) : FOV;
      this.free.updateProjectionMatrix();
      return this.free;
    }
    const pose = view.poses[frame];
    this.bound.matrixWorld.set(...pose, 0, 0, 0, 1).premultiply(FROM_OPENCV).multiply(FROM_OPENCV);
    this.bound.matrixWorldInverse.copy(this.bound.matrixWorld).invert();
    this.bound.projectionMatrix.copy(projection(view, frame, width, height));
    this.bound.projectionMatrixInverse.copy(this.bound.projectionMatrix).invert();
    return this.bound;
  }

  /** Where a bound view's picture lies on the canvas: left, top, width, height; null for the free eye. */
  pictureRect(width, height) {
    const view = this._boundView();
    if (!view) return null;
    const fit = Math.min(width / view.width, height / view.height);
    const [w, h] = [view.width * fit, view.height * fit];
    return [(width - w) / 2, (height - h) / 2, w, h];
  }

  _boundView() {
    return this.scene.views.find((view) => view.name === this.settings.get("camera"));
  }

  /** Go on from where a bound camera stands, as a free eye. */
  _letGo() {
    const view = this._boundView();
    if (!view) return;
    const world = this.bound.matrixWorld;
    this.free.position.setFromMatrixPosition(world);
    const ahead = new Vector3(0, 0, -1).transformDirection(world);
    this.controls.target.copy(this.free.position).addScaledVector(ahead, 1);
    this.settings.set("camera", "free");
    this.controls.update();
  }

  /** Let time pass; return whether the eye is on the move. */
  tick(seconds) {
    if (this.flying.size) this._fly(seconds);
    if (this.settings.get("sway") && !this._boundView()) this._sway(seconds);
    return this.controls.update(seconds) || this.flying.size > 0 || (this.settings.get("sway") && !this._boundView());
  }

  _fly(seconds) {
    this._letGo();
    const speed = 0.9 * seconds * Math.max(0.2, this.free.position.distanceTo(this.controls.target));
    const ahead = this.free.getWorldDirection(new Vector3());
    const right = new Vector3().crossVectors(ahead, this.free.up).normalize();
    const moves = { w: [ahead, 1], s: [ahead, -1], d: [right, 1], a: [right, -1], e: [this.free.up, 1], q: [this.free.up, -1] };
    for (const key of this.flying) {
      const [direction, sign] = moves[key];
      this.free.position.addScaledVector(direction, sign * speed);
      this.controls.target.addScaledVector(direction, sign * speed);
    }
    this._tell();
  }

  /** Swing gently about where the eye stands. */
  _sway(seconds) {
    this.phase = (this.phase ?? 0) + (2 * Math.PI * seconds) / SWAY.seconds;
    const reach = this.free.position.distanceTo(this.controls.target);
    const offset = new Vector3(Math.sin(this.phase) * SWAY.x, Math.sin(2 * this.phase) * SWAY.y, 0).multiplyScalar(reach);
    offset.applyQuaternion(this.free.quaternion);
    this.free.position.add(offset).sub(this.swayed);
    this.swayed.copy(offset);
    this._tell();
  }

  /** What another page needs to stand at the same place. */
  get pose() {
    return { position: this.free.position.toArray(), target: this.controls.target.toArray(), camera: this.settings.get("camera") };
  }

  set pose({ position, target, camera }) {
    this.silent = true;
    this.settings.set("camera", camera);
    this.free.position.fromArray(position);
    this.controls.target.fromArray(target);
    this.controls.update();
    this.silent = false;
    this.dispatchEvent(new Event("change"));
  }

  _tell() {
    this.dispatchEvent(new Event("change"));
    if (!this.silent) this.dispatchEvent(new Event("moved"));
  }
}

/** Return the projection of a view's K, its picture as large as fits into the middle of the canvas. */
function projection(view, frame, width, height) {
  const [fx, skew, cx, fy, cy] = view.lenses[frame];
  const fit = Math.min(width / view.width, height / view.height);
  const [x, y] = [(2 * fit) / width, (2 * fit) / height];
  const depth = [-(FAR + NEAR) / (FAR - NEAR), (-2 * FAR * NEAR) / (FAR - NEAR)];
  return new Matrix4().set(
    x * fx, -x * skew, -x * (cx - view.width / 2), 0,
    0, y * fy, y * (cy - view.height / 2), 0,
    0, 0, depth[0], depth[1],
    0, 0, -1, 0,
  );
}
