// Decoded pictures, frame by frame: all pictures of a frame are there, or none is.

const ROOM = 320e6; // bytes of decoded pictures that are kept
const AT_ONCE = 4; // frames decoded at the same time

export class FrameStore {
  /** @param onReady called with the number of a frame that has just become ready */
  constructor(scene, onReady) {
    this.scene = scene;
    this.onReady = onReady;
    this.pictures = new Map(); // frame -> one {colour, depth} a view; the most recently used last
    this.busy = new Set();
    this.wanted = 0;
    let perFrame = 0;
    for (const view of scene.views) perFrame += 8 * view.width * view.height;
    this.limit = Math.max(8, Math.min(scene.frames, Math.floor(ROOM / perFrame)));
  }

  /** Return the pictures of a frame, or undefined while they are not decoded. */
  get(frame) {
    const found = this.pictures.get(frame);
    if (found) {
      this.pictures.delete(frame);
      this.pictures.set(frame, found);
    }
    return found;
  }

  /** Decode a frame, then those after it, as far as there is room. */
  want(frame) {
    this.wanted = frame;
    this._fill();
  }

  /** How many of the frames are decoded. */
  get numReady() {
    return this.pictures.size;
  }

  _fill() {
    for (let ahead = 0; ahead < this.limit && this.busy.size < AT_ONCE; ahead++) {
      const frame = (this.wanted + ahead) % this.scene.frames;
      if (!this.pictures.has(frame) && !this.busy.has(frame)) this._decode(frame);
    }
  }

  async _decode(frame) {
    this.busy.add(frame);
    const pictures = await Promise.all(
      this.scene.views.map(async (view) => {
        const [colour, depth] = await Promise.all([this._picture(view.colour[frame]), this._picture(view.depth[frame])]);
        return { colour, depth };
      }),
    );
    this.busy.delete(frame);
    this.pictures.set(frame, pictures);
    this._dropFarthest();
    this.onReady(frame);
    this._fill();
  }

  _picture([offset, length]) {
    const blob = new Blob([this.scene.bytes.subarray(offset, offset + length)], { type: "image/webp" });
    // Depth levels must arrive as they were written.
    return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  }

  /** Drop the frames that playing reaches last. */
  _dropFarthest() {
    const frames = this.scene.frames;
    while (this.pictures.size > this.limit) {
      let farthest = -1;
      let distance = -1;
      for (const frame of this.pictures.keys()) {
        const ahead = (frame - this.wanted + frames) % frames;
        if (ahead > distance) [farthest, distance] = [frame, ahead];
      }
      for (const { colour, depth } of this.pictures.get(farthest)) {
        colour.close();
        depth.close();
      }
      this.pictures.delete(farthest);
    }
  }
}
