// Frusta, camera paths, and the pictures that the cameras take.

import { BufferGeometry, Float32BufferAttribute, GLSL3, Group, Mesh, RawShaderMaterial } from "three";
import { Lines } from "./marks.js";
import { unproject } from "./scene.js";

const PLATE_VERTEX = /* glsl */ `
precision highp float;
uniform mat4 projectionMatrix, modelViewMatrix;
in vec3 position;
in vec2 uv;
out vec2 place;
void main() {
  place = uv;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;
const PLATE_FRAGMENT = /* glsl */ `
precision mediump float;
uniform sampler2D picture;
in vec2 place;
out vec4 shown;
void main() { shown = vec4(texture(picture, place).rgb, 1.0); }`;

const DASHES = 9; // pieces of a dashed line; every second one is drawn

/** What the cameras of one view look like in the world. */
export class CameraMarks {
  constructor(view, cloud, colour, size) {
    this.view = view;
    this.colour = colour;
    this.size = size;
    this.group = new Group();
    this.frustum = new Lines(2);
    this.path = new Lines(2.2);
    this.truth = new Lines(1.5);
    this.plate = plate(cloud.colourMap);
    this.group.add(this.path.object, this.frustum.object, this.truth.object, this.plate);
    this.on = { frusta: true, paths: true, images: false, trueCameras: true };
  }

  /** Draw frame `frame`. */
  draw(frame) {
    const { view, on } = this;
    const solid = [...this.colour, 1];
    const corners = this._corners(view.rays[frame], frame);
    this.frustum.set(on.frusta ? edges(corners, solid) : []);
    this.path.set(on.paths ? path(view.poses, frame, this.colour) : []);
    const truth = [];
    if (on.trueCameras && view.truePoses) {
      const pale = [...this.colour.map((value) => 0.5 + 0.5 * value), 0.95];
      const rays = trueRays(view, frame);
      if (on.frusta) edges(this._corners(rays, frame), pale).forEach((edge) => truth.push(...dashed(edge)));
      if (on.paths) {
        const steps = path(view.truePoses, frame, pale.slice(0, 3));
        truth.push(...steps.filter((_, i) => steps.length < 4 || i % 2 === 0));
      }
    }
    this.truth.set(truth);
    this.plate.visible = on.images && on.frusta;
    if (this.plate.visible) placePlate(this.plate, corners);
  }

  /** Return the camera's centre and the corners of its picture. */
  _corners(rays, frame) {
    const { width, height } = this.view;
    // A frustum is as deep as makes its picture's diagonal `size` wide.
    const diagonal = Math.hypot(width / this.view.lenses[frame][0], height / this.view.lenses[frame][3]);
    const depth = this.size / diagonal;
    const corners = [[0, 0], [width, 0], [width, height], [0, height]];
    return [[rays[3], rays[7], rays[11]], ...corners.map(([x, y]) => unproject(rays, x, y, depth))];
  }
}

function edges([centre, a, b, c, d], colour) {
  const up = mix(a, b, 0.5).map((value, i) => value + 0.35 * (a[i] - d[i])); // a small roof says where up is
  const pairs = [[centre, a], [centre, b], [centre, c], [centre, d], [a, b], [b, c], [c, d], [d, a]];
  pairs.push([mix(a, b, 0.3), mix(up, mix(a, b, 0.5), 0.4)], [mix(a, b, 0.7), mix(up, mix(a, b, 0.5), 0.4)]);
  return pairs.map(([from, to]) => [from, to, colour]);
}

function mix(from, to, share) {
  return from.map((value, i) => value + share * (to[i] - value));
}

function dashed([from, to, colour]) {
  const pieces = [];
  for (let i = 0; i < DASHES; i += 2) pieces.push([mix(from, to, i / DASHES), mix(from, to, (i + 1) / DASHES), colour]);
  return pieces;
}

/** Return the path of the camera's centre: what has been is strong, what comes is faint. */
function path(poses, frame, colour) {
  const centres = poses.map((pose) => [pose[3], pose[7], pose[11]]);
  const segments = [];
  for (let t = 1; t < centres.length; t++) {
    segments.push([centres[t - 1], centres[t], [...colour, t <= frame ? 0.95 : 0.35]]);
  }
  return segments;
}

/** Return what `view.rays` would be by the true pose; K is the same. */
function trueRays(view, frame) {
  const estimated = view.poses[frame];
  const pose = view.truePoses[frame];
  const rays = view.rays[frame];
  // Rotate the estimated camera's rays to the true one: R_true R_estimated^T.
  const turned = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      let sum = 0;
      for (let axis = 0; axis < 3; axis++) {
        let along = 0; // component of the ray along an axis of the estimated camera
        for (let k = 0; k < 3; k++) along += estimated[4 * k + axis] * rays[4 * k + column];
        sum += pose[4 * row + axis] * along;
      }
      turned.push(sum);
    }
    turned.push(pose[4 * row + 3]);
  }
  return turned;
}

function plate(texture) {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(new Float32Array(12), 3));
  geometry.setAttribute("uv", new Float32BufferAttribute([0, 0, 1, 0, 1, 1, 0, 1], 2));
  geometry.setIndex([0, 1, 2, 0, 2, 3]);
  const material = new RawShaderMaterial({
    vertexShader: PLATE_VERTEX,
    fragmentShader: PLATE_FRAGMENT,
    glslVersion: GLSL3,
    uniforms: { picture: { value: texture } },
    side: 2,
  });
  const mesh = new Mesh(geometry, material);
  mesh.frustumCulled = false;
  return mesh;
}

function placePlate(mesh, corners) {
  const position = mesh.geometry.attributes.position;
  corners.slice(1).forEach((corner, i) => position.setXYZ(i, ...corner));
  position.needsUpdate = true;
}
