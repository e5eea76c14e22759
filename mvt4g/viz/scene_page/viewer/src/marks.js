// Lines of some pixels' width and round dots, which WebGL itself does not draw.

import { BufferAttribute, BufferGeometry, DynamicDrawUsage, GLSL3, Mesh, Points, RawShaderMaterial, Vector2 } from "three";

const LINE_VERTEX = /* glsl */ `
precision highp float;
uniform mat4 projectionMatrix, modelViewMatrix;
uniform vec2 screen; // size in pixels
uniform float width, pull;
in vec3 start, end;
in vec4 startColour, endColour;
out vec4 colour;
out float across;

void main() {
  int corner = gl_VertexID & 3;
  bool isEnd = (corner & 1) == 1;
  vec3 from = (modelViewMatrix * vec4(start, 1.0)).xyz * pull;
  vec3 to = (modelViewMatrix * vec4(end, 1.0)).xyz * pull;
  // What lies behind the eye is cut off: its projection would be mirrored.
  float near = -0.002;
  if (from.z > near && to.z > near) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  if (from.z > near) from = mix(from, to, (near - from.z) / (to.z - from.z));
  if (to.z > near) to = mix(to, from, (near - to.z) / (from.z - to.z));
  vec4 clipFrom = projectionMatrix * vec4(from, 1.0), clipTo = projectionMatrix * vec4(to, 1.0);
  vec2 along = (clipTo.xy / clipTo.w - clipFrom.xy / clipFrom.w) * screen;
  float reach = length(along);
  along = reach > 1e-4 ? along / reach : vec2(1.0, 0.0);
  across = corner < 2 ? -1.0 : 1.0;
  vec4 clip = isEnd ? clipTo : clipFrom;
  clip.xy += across * vec2(-along.y, along.x) * (width + 1.0) / screen * clip.w;
  gl_Position = clip;
  colour = isEnd ? endColour : startColour;
}`;

const LINE_FRAGMENT = /* glsl */ `
precision highp float;
uniform float width;
in vec4 colour;
in float across;
out vec4 shown;
void main() {
  float edge = clamp((1.0 - abs(across)) * (width + 1.0) * 0.5 + 0.25, 0.0, 1.0);
  shown = vec4(colour.rgb, colour.a * edge);
}`;

const DOT_VERTEX = /* glsl */ `
precision highp float;
uniform mat4 projectionMatrix, modelViewMatrix;
uniform float size, pull;
in vec3 position;
in vec4 colour; // opacity over 1 marks a ring
out vec4 tone;
void main() {
  gl_Position = projectionMatrix * vec4((modelViewMatrix * vec4(position, 1.0)).xyz * pull, 1.0);
  gl_PointSize = size;
  tone = colour;
}`;

const DOT_FRAGMENT = /* glsl */ `
precision highp float;
uniform float size;
in vec4 tone;
out vec4 shown;
void main() {
  float radius = length(gl_PointCoord - 0.5) * size;
  float outer = 0.5 * size - 0.5;
  float alpha = clamp(outer - radius + 0.5, 0.0, 1.0);
  bool isRing = tone.a > 1.0;
  if (isRing) alpha *= clamp(radius - outer + 0.2 * size, 0.0, 1.0);
  if (alpha < 0.03) discard;
  float rim = isRing ? 0.0 : clamp(radius - outer + 0.14 * size, 0.0, 1.0);
  shown = vec4(tone.rgb * (1.0 - 0.75 * rim), alpha * (isRing ? tone.a - 1.0 : tone.a));
}`;

/** Share of its distance at which a mark is drawn, so that the surface it lies on does not hide it. */
export const PULL = 0.985;

/** Have the first entries of an attribute sent to the GPU. */
function sendFirst(attribute, count) {
  attribute.clearUpdateRanges();
  attribute.addUpdateRange(0, count * attribute.itemSize);
  attribute.needsUpdate = true;
}

/** Line segments, each with its own two colours. */
export class Lines {
  constructor(width, { pull = 1, depthTest = true } = {}) {
    this.size = new Vector2(1, 1);
    this.material = new RawShaderMaterial({
      vertexShader: LINE_VERTEX,
      fragmentShader: LINE_FRAGMENT,
      glslVersion: GLSL3,
      uniforms: { screen: { value: this.size }, width: { value: width }, pull: { value: pull } },
      transparent: true,
      depthWrite: false,
      depthTest,
      side: 2,
    });
    this.width = width;
    this.object = new Mesh(new BufferGeometry(), this.material);
    this.object.frustumCulled = false;
    this.object.onBeforeRender = (renderer) => {
      renderer.getDrawingBufferSize(this.size);
      this.material.uniforms.width.value = this.width * renderer.getPixelRatio();
      this.material.uniformsNeedUpdate = true;
    };
    this.set([]);
  }

  /** @param segments each [start, end, colour] or [start, end, colour, colour of the end]; colours r, g, b, opacity */
  set(segments) {
    if (segments.length > (this.room ?? -1)) this._makeRoom(Math.max(16, 2 * segments.length));
    const { start, end, startColour, endColour } = this.arrays;
    let vertex = 0;
    for (const [from, to, colour, last = colour] of segments) {
      for (let corner = 0; corner < 4; corner++, vertex++) {
        start.array.set(from, 3 * vertex);
        end.array.set(to, 3 * vertex);
        for (let channel = 0; channel < 4; channel++) {
          startColour.array[4 * vertex + channel] = 255 * colour[channel];
          endColour.array[4 * vertex + channel] = 255 * last[channel];
        }
      }
    }
    for (const attribute of Object.values(this.arrays)) sendFirst(attribute, vertex);
    this.object.geometry.setDrawRange(0, 6 * segments.length);
    this.object.visible = segments.length > 0;
  }

  // Four vertices a segment, each with all there is to know: an instance a segment is ten times as slow in software.
  _makeRoom(room) {
    this.room = room;
    this.object.geometry.dispose();
    const geometry = new BufferGeometry();
    const index = new Uint32Array(6 * room);
    for (let i = 0; i < room; i++) index.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * i + corner), 6 * i);
    geometry.setIndex(new BufferAttribute(index, 1));
    this.arrays = {};
    for (const [name, size, Type] of [["start", 3, Float32Array], ["end", 3, Float32Array], ["startColour", 4, Uint8Array], ["endColour", 4, Uint8Array]]) {
      const attribute = new BufferAttribute(new Type(4 * size * room), size, Type === Uint8Array);
      attribute.setUsage(DynamicDrawUsage);
      geometry.setAttribute(name, attribute);
      this.arrays[name] = attribute;
    }
    this.object.geometry = geometry;
  }
}

/** Round dots with a dark rim, or rings. */
export class Dots {
  constructor(size) {
    this.size = size;
    this.material = new RawShaderMaterial({
      vertexShader: DOT_VERTEX,
      fragmentShader: DOT_FRAGMENT,
      glslVersion: GLSL3,
      uniforms: { size: { value: size }, pull: { value: PULL } },
      transparent: true,
    });
    this.object = new Points(new BufferGeometry(), this.material);
    this.object.frustumCulled = false;
    this.object.onBeforeRender = (renderer) => {
      this.material.uniforms.size.value = this.size * renderer.getPixelRatio();
      this.material.uniformsNeedUpdate = true;
    };
    this.set([]);
  }

  /** @param dots each [position, colour]; a colour of opacity 1 + a is a ring of opacity a */
  set(dots) {
    if (dots.length > (this.room ?? -1)) this._makeRoom(Math.max(16, 2 * dots.length));
    dots.forEach(([position, colour], i) => {
      this.position.array.set(position, 3 * i);
      this.colour.array.set(colour, 4 * i);
    });
    sendFirst(this.position, dots.length);
    sendFirst(this.colour, dots.length);
    this.object.geometry.setDrawRange(0, dots.length);
    this.object.visible = dots.length > 0;
  }

  _makeRoom(room) {
    this.room = room;
    this.object.geometry.dispose();
    this.position = new BufferAttribute(new Float32Array(3 * room), 3).setUsage(DynamicDrawUsage);
    this.colour = new BufferAttribute(new Float32Array(4 * room), 4).setUsage(DynamicDrawUsage);
    this.object.geometry = new BufferGeometry();
    this.object.geometry.setAttribute("position", this.position);
    this.object.geometry.setAttribute("colour", this.colour);
  }
}
