// The cloud of one view: its pixels, unprojected on the GPU; drawn as points, or as a surface between them.

import { BufferAttribute, BufferGeometry, GLSL3, Group, LinearFilter, Matrix4, Mesh, NearestFilter, Points, RawShaderMaterial, Texture, Vector2, Vector4 } from "three";

const SHARED = /* glsl */ `
precision highp float;
precision highp int;
uniform highp sampler2D depthMap;
uniform sampler2D colourMap;
uniform vec2 logDepth;    // log of the nearest depth, and of the ratio from a level to the next
uniform float maxEdge;
uniform float minConfidence;
uniform vec4 tint;        // colour of the view, and its share
uniform float depthColour;

/** Level, confidence and edge of a pixel. */
vec3 measured(ivec2 pixel) {
  vec3 bytes = floor(texelFetch(depthMap, pixel, 0).rgb * 255.0 + 0.5);
  float confidence = floor(bytes.b / 16.0);
  return vec3(bytes.r * 256.0 + bytes.g, confidence, bytes.b - 16.0 * confidence);
}

bool isShown(vec3 pixel) {
  return pixel.x > 0.5 && pixel.z <= maxEdge && pixel.y >= minConfidence;
}

float logOf(float level) { return logDepth.x + (level - 1.0) * logDepth.y; }

vec3 tinted(vec3 seen, float level) {
  if (depthColour > 0.0) { // blue, green, yellow, red from near to far
    float share = clamp((level - 1.0) * depthColour, 0.0, 1.0);
    seen = clamp(1.5 - abs(4.0 * share - vec3(3.0, 2.0, 1.0)), 0.0, 1.0);
  }
  return mix(seen, tint.rgb * (0.25 + 0.95 * dot(seen, vec3(0.3, 0.59, 0.11))), tint.a);
}`;

const PLACE = /* glsl */ `
uniform mat4 clipFromRay; // takes (d x, d y, d, 1) of pixel (x, y) and depth d to the clip space of the screen
uniform int columns;
uniform int stride;
uniform ivec2 last;       // the last column and row of the picture

ivec2 ownPixel() {
  int row = gl_VertexID / columns;
  return min(ivec2(gl_VertexID - row * columns, row) * stride + stride / 2, last);
}

vec4 placed(ivec2 pixel, float depth) {
  return clipFromRay * vec4((vec2(pixel) + 0.5) * depth, depth, 1.0);
}`;

const POINT_VERTEX = /* glsl */ `${SHARED}${PLACE}
uniform float footprint;  // screen pixels of a pixel that is as far from the eye as from its own camera
out vec3 colour;

void main() {
  ivec2 pixel = ownPixel();
  vec3 own = measured(pixel);
  if (!isShown(own)) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // outside of the screen
    gl_PointSize = 1.0;
    return;
  }
  float depth = exp(logOf(own.x));
  gl_Position = placed(pixel, depth);
  gl_PointSize = clamp(footprint * depth / max(gl_Position.w, 1e-3), 1.0, 48.0);
  colour = tinted(texelFetch(colourMap, pixel, 0).rgb, own.x);
}`;

const POINT_FRAGMENT = /* glsl */ `
precision mediump float;
in vec3 colour;
out vec4 shown;
void main() { shown = vec4(colour, 1.0); }`;

const SURFACE_VERTEX = /* glsl */ `${SHARED}${PLACE}
out vec3 place; // pixel, and log of depth

void main() {
  ivec2 pixel = ownPixel();
  float level = measured(pixel).x;
  float depth = logOf(max(level, 1.0));
  place = vec3(vec2(pixel) + 0.5, level > 0.5 ? depth : 1e9);
  gl_Position = placed(pixel, exp(depth));
}`;

// Every pixel of the picture decides by its own depth whether the surface runs through it. So a coarse surface has the
// edges of a fine one, and none is spanned from one object to the next.
const SURFACE_FRAGMENT = /* glsl */ `${SHARED}
uniform float tolerance; // of log depth, from the surface to the pixel
in vec3 place;
out vec4 shown;

void main() {
  vec3 own = measured(ivec2(place.xy));
  if (!isShown(own) || abs(place.z - logOf(own.x)) > tolerance) discard;
  shown = vec4(tinted(texture(colourMap, place.xy / vec2(textureSize(colourMap, 0))).rgb, own.x), 1.0);
}`;

const STRIP = 6; // columns
const EDGE_STEP = 0.45; // as encoded: level = 15 + log2(jump) / step

export class Cloud {
  /**
   * @param view of the scene
   * @param tint colour of the view, 0 to 1
   */
  constructor(view, tint) {
    this.view = view;
    this.tint = tint;
    this.depthMap = pictureTexture(NearestFilter);
    this.colourMap = pictureTexture(LinearFilter);
    this.stride = 0;
    this.size = 1;
    this.clip = new Matrix4();
    this.uniforms = {
      depthMap: { value: this.depthMap },
      colourMap: { value: this.colourMap },
      clipFromRay: { value: this.clip },
      columns: { value: 1 },
      stride: { value: 1 },
      last: { value: new Vector2(view.width - 1, view.height - 1) },
      logDepth: { value: new Vector2(view.logNear, view.logStep) },
      maxEdge: { value: 15 },
      tolerance: { value: 0.05 },
      minConfidence: { value: 0 },
      footprint: { value: 1 },
      tint: { value: tintVector(tint, 0) },
      depthColour: { value: 0 },
    };
    this.points = new Points(new BufferGeometry(), this._material(POINT_VERTEX, POINT_FRAGMENT));
    this.surface = new Mesh(new BufferGeometry(), this._material(SURFACE_VERTEX, SURFACE_FRAGMENT));
    this.group = new Group();
    for (const part of [this.points, this.surface]) {
      part.frustumCulled = false;
      part.onBeforeRender = (renderer, _, camera) => this._place(renderer, camera, part);
      this.group.add(part);
    }
    this.grids = new Map(); // stride -> triangles
    this.setStyle("surface");
    this.setStride(1);
  }

  _material(vertexShader, fragmentShader) {
    return new RawShaderMaterial({ vertexShader, fragmentShader, glslVersion: GLSL3, uniforms: this.uniforms, side: 2 });
  }

  /** @param style "surface" or "points" */
  setStyle(style) {
    this.points.visible = style === "points";
    this.surface.visible = style !== "points";
  }

  /** Draw every `stride`-th pixel of every `stride`-th row. */
  setStride(stride) {
    if (stride === this.stride) return;
    this.stride = stride;
    const columns = Math.ceil(this.view.width / stride);
    const rows = Math.ceil(this.view.height / stride);
    this.uniforms.columns.value = columns;
    this.uniforms.stride.value = stride;
    this.points.geometry.setDrawRange(0, columns * rows);
    if (!this.grids.has(stride)) this.grids.set(stride, gridGeometry(columns, rows));
    this.surface.geometry = this.grids.get(stride);
  }

  setFrame(frame, pictures) {
    this.frame = frame;
    for (const [texture, picture] of [[this.depthMap, pictures.depth], [this.colourMap, pictures.colour]]) {
      texture.image = picture;
      texture.needsUpdate = true;
    }
  }

  /** @param mode "true", "view" or "depth" */
  setColour(mode) {
    this.uniforms.tint.value = tintVector(this.tint, mode === "view" ? 0.72 : 0);
    this.uniforms.depthColour.value = mode === "depth" ? 1 / Math.max(1, this.view.levels - 1) : 0;
  }

  /** @param jump of inverse depth beyond which a pixel is left out; 0 = none is */
  setMaxEdge(jump) {
    this.uniforms.maxEdge.value = jump > 0 ? 15 + Math.log2(jump) / EDGE_STEP : 16;
    this.uniforms.tolerance.value = jump > 0 ? Math.max(0.015, 0.4 * jump) : 1e6; // a vertex without depth is at 1e9
  }

  /** @param share of the least confident pixels that is left out */
  setMinConfidence(share) {
    this.uniforms.minConfidence.value = Math.round(16 * share);
  }

  _place(renderer, camera, part) {
    const [a, b, c, d, e, f, g, h, i, j, k, l] = this.view.rays[this.frame];
    this.clip.set(a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1);
    this.clip.premultiply(part.matrixWorld).premultiply(camera.matrixWorldInverse).premultiply(camera.projectionMatrix);
    const screenFocal = (camera.projectionMatrix.elements[5] * renderer.domElement.height) / 2;
    const ownFocal = this.view.lenses[this.frame][3];
    this.uniforms.footprint.value = (1.3 * this.size * this.stride * screenFocal) / ownFocal;
    this.uniformsNeedUpdate = true;
  }
}

/**
 * Return the two triangles between every four neighbours of a grid.
 *
 * They run along strips of few columns, so that a vertex of the row above is still in the cache when it is used again.
 */
function gridGeometry(columns, rows) {
  const Type = columns * rows <= 65536 ? Uint16Array : Uint32Array;
  const triangles = new Type(Math.max(0, 6 * (columns - 1) * (rows - 1)));
  let at = 0;
  for (let left = 0; left + 1 < columns; left += STRIP) {
    const right = Math.min(left + STRIP, columns - 1);
    for (let row = 0; row + 1 < rows; row++) {
      for (let column = left; column < right; column++) {
        const corner = row * columns + column;
        triangles.set([corner, corner + columns, corner + 1, corner + 1, corner + columns, corner + columns + 1], at);
        at += 6;
      }
    }
  }
  const geometry = new BufferGeometry();
  geometry.setIndex(new BufferAttribute(triangles, 1));
  return geometry;
}

/** Return a texture for pictures of one size, empty as yet. */
function pictureTexture(filter) {
  const texture = new Texture();
  texture.flipY = false;
  texture.generateMipmaps = false;
  texture.minFilter = texture.magFilter = filter;
  return texture;
}

function tintVector([red, green, blue], share) {
  return new Vector4(red, green, blue, share);
}
