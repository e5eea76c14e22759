// What the page holds: a JSON description, and one block of bytes that it points into.

/** Decode base64 text to bytes. */
function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Read the scene that is embedded in a document.
 *
 * Cameras are in the page's world: the reference camera of frame 0 (x right, y down, z forward), and the median depth
 * of the reference is 1. `scene.scale` scene units are 1 there.
 */
export function readScene(page) {
  const scene = JSON.parse(page.getElementById("scene").textContent);
  scene.bytes = bytesOf(page.getElementById("bytes").textContent.trim());
  for (const view of scene.views) {
    view.rays = view.poses.map((pose, t) => rayMatrix(pose, view.lenses[t]));
  }
  if (scene.tracks) unpackTracks(scene, scene.tracks);
  if (scene.truth) unpackTracks(scene, scene.truth);
  return scene;
}

/** Return a copy, since an offset in the block need not fit the type's alignment. */
function typed(scene, [offset, length], Type) {
  return new Type(scene.bytes.slice(offset, offset + length).buffer);
}

function unpackTracks(scene, tracks) {
  tracks.world = typed(scene, tracks.world, Float32Array); // v t n 3, NaN = none
  tracks.pixels = typed(scene, tracks.pixels, Float32Array); // v t n 2, NaN = none
  tracks.seen = typed(scene, tracks.seen, Uint8Array); // v t n: 0 hidden, 1 seen
}

/**
 * Return [R K^-1 | c] as 12 numbers by rows: a pixel (x, y) of depth d lies at d * R K^-1 (x, y, 1) + c.
 *
 * @param pose world_from_cam, 12 numbers by rows
 * @param lens fx, skew, cx, fy, cy
 */
function rayMatrix(pose, [fx, skew, cx, fy, cy]) {
  const rays = [];
  for (let row = 0; row < 3; row++) {
    const [x, y, z, centre] = pose.slice(4 * row, 4 * row + 4);
    const alongX = x / fx;
    const alongY = (y - alongX * skew) / fy;
    rays.push(alongX, alongY, z - alongX * cx - alongY * cy, centre);
  }
  return rays;
}

/** Return the world point of a pixel at a depth, by `view.rays[t]`. */
export function unproject(rays, x, y, depth) {
  const point = [];
  for (let row = 0; row < 3; row++) {
    const [a, b, c, centre] = rays.slice(4 * row, 4 * row + 4);
    point.push(depth * (a * x + b * y + c) + centre);
  }
  return point;
}

/** Return where the numbers of a point begin in `tracks.seen`; times 2 or 3 in the other arrays. */
export function trackIndex(tracks, view, frame, point) {
  return (view * tracks.frames + frame) * tracks.count + point;
}
