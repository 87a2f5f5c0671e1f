// crowd-semantic-segmentation: brush, polygon, eraser and fill on a mask of label indices, one byte for a pixel.

// Index 0 is background, index i the label i - 1. Canvas paths would blend colours at their edges (anti-aliasing)
// and so invent labels: every pixel is set by itself.
class Mask {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height);
  }

  // The pixels whose centres lie within `radius` of the segment between two points.
  stroke(from, to, radius, index, onlyOn = null) {
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
    const right = Math.min(this.width, Math.ceil(Math.max(from.x, to.x) + radius));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius));
    const bottom = Math.min(this.height, Math.ceil(Math.max(from.y, to.y) + radius));
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = dx * dx + dy * dy;
    const limit = radius * radius + 1e-6;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const [ex, ey] = [px - along * dx, py - along * dy];
        if (ex * ex + ey * ey <= limit) this.#set(y * this.width + x, index, onlyOn);
      }
    }
    return { left, top, right, bottom };
  }

  #set(at, index, onlyOn) { if (onlyOn === null || this.pixels[at] === onlyOn) this.pixels[at] = index; }

  // The pixels whose centres lie inside the polygon (even-odd rule).
  polygon(vertices, index, onlyOn = null) {
    const rows = vertices.map(({ y }) => y);
    const top = Math.max(0, Math.floor(Math.min(...rows)));
    const bottom = Math.min(this.height, Math.ceil(Math.max(...rows)));
    const columns = vertices.map(({ x }) => x);
    for (let y = top; y < bottom; y += 1) {
      const crossings = [];
      vertices.forEach((one, at) => {
        const other = vertices.at(at - 1);
        if ((one.y > y + 0.5) !== (other.y > y + 0.5)) crossings.push(one.x + (y + 0.5 - one.y) * (other.x - one.x) / (other.y - one.y));
      });
      crossings.sort((one, other) => one - other);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        const end = Math.min(this.width, Math.ceil(crossings[pair + 1] - 0.5));
        for (let x = Math.max(0, Math.ceil(crossings[pair] - 0.5)); x < end; x += 1) this.#set(y * this.width + x, index, onlyOn);
      }
    }
    return { left: Math.max(0, Math.floor(Math.min(...columns))), top, right: Math.min(this.width, Math.ceil(Math.max(...columns))), bottom };
  }

  // The connected pixels that have the index of the one at (x, y), row by row.
  fill(x, y, index) {
    const { width, height, pixels } = this;
    const area = { left: x, top: y, right: x + 1, bottom: y + 1 };
    const old = pixels[y * width + x];
    if (old === index) return area;
    const open = [[x, y]];
    while (open.length) {
      const [column, row] = open.pop();
      const start = row * width;
      if (pixels[start + column] !== old) continue;
      let left = column;
      while (left > 0 && pixels[start + left - 1] === old) left -= 1;
      let right = column;
      while (right + 1 < width && pixels[start + right + 1] === old) right += 1;
      pixels.fill(index, start + left, start + right + 1);
      area.left = Math.min(area.left, left);
      area.right = Math.max(area.right, right + 1);
      area.top = Math.min(area.top, row);
      area.bottom = Math.max(area.bottom, row + 1);
      for (const next of [row - 1, row + 1]) {
        if (next < 0 || next >= height) continue;
        for (let at = left; at <= right; at += 1) {
          const here = next * width + at;
          if (pixels[here] === old && (at === left || pixels[here - 1] !== old)) open.push([at, next]);
        }
      }
    }
    return area;
  }

  cut({ left, top, right, bottom }) {
    const piece = new Uint8Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y += 1) piece.set(this.pixels.subarray(y * this.width + left, y * this.width + right), (y - top) * (right - left));
    return piece;
  }

  paste({ left, top, right, bottom }, piece) {
    for (let y = top; y < bottom; y += 1) this.pixels.set(piece.subarray((y - top) * (right - left), (y - top + 1) * (right - left)), y * this.width + left);
  }

  // Runs of equal pixels, "index*length", for drafts.
  toRuns() {
    const runs = [];
    const { pixels } = this;
    for (let at = 0; at < pixels.length;) {
      let end = at + 1;
      while (end < pixels.length && pixels[end] === pixels[at]) end += 1;
      runs.push(`${pixels[at]}*${end - at}`);
      at = end;
    }
    return runs.join(",");
  }

  fromRuns(runs) {
    let at = 0;
    for (const run of runs.split(",")) {
      const [index, length] = run.split("*").map(Number);
      this.pixels.fill(index, at, at + length);
      at += length;
    }
  }
}

const BRUSHES = [1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 56, 80, 112, 160, 224, 320];
const TOOLS = [["brush", "b"], ["polygon", "p"], ["eraser", "e"], ["fill", "f"]];
// What undo may hold, in bytes; the oldest steps go first.
const UNDO_BYTES = 96_000_000;
// Masks come from encoders that keep colours exactly; this only forgives rounding.
const COLOR_TOLERANCE = 8;

class CrowdSemanticSegmentation extends DrawingWidget {
  #mask = null;
  // The mask as it was before the stroke that is being drawn: where undo gets its rectangles from.
  #committed = null;
  #initial = null;
  #layer = make("canvas");
  #colors = new Map();
  #counts = [];
  #tool = "brush";
  #brush = 0;
  #points = [];
  #pointer = null;
  #last = null;
  #dirty = null;
  #hidden = false;
  #keep = make("input", { type: "checkbox" });
  #opacity = make("input", { type: "range", min: 0, max: 100, value: 60 });
  #size = make("output", { class: "zoom" });
  #toolButtons = new Map();
  #hideButton = null;

  build() {
    const initial = this.json("initial-value", null);
    for (const [label, { color }] of Object.entries(initial?.labelMappings ?? {})) this.#colors.set(label, color.toLowerCase());
    const tools = make("span", { class: "tool-group", role: "radiogroup" }, ...TOOLS.map(([name, key]) => {
      const button = toolButton(name, name, () => this.#choose(name), key);
      button.setAttribute("role", "radio");
      this.#toolButtons.set(name, button);
      return button;
    }));
    const size = make("span", { class: "tool-group" }, toolButton("minus", "brushSize", () => this.#resize(-1), "["), this.#size, toolButton("plus", "brushSize", () => this.#resize(1), "]"));
    this.#opacity.addEventListener("input", () => { this.#hide(false); });
    this.#hideButton = toolButton("eye", "hideMask", () => this.#hide(!this.#hidden), "h");
    this.buildDrawing({
      tools: [tools, size],
      list: make("div", { class: "mask-panel" }, say(make("h2"), "mask"),
        make("div", { class: "mask-row" }, make("label", { class: "tool-slider" }, say(make("span"), "opacity"), this.#opacity), this.#hideButton),
        make("label", { class: "tool-check" }, this.#keep, say(make("span"), "keepPainted"), make("kbd", {}, "k"))),
      keys: [["b p e f", "keyTools"], ["[ ]", "keySize"], ["h", "keyHide"], ["k", "keyKeep"], ["Enter doubleClick", "keyClose"], ["Backspace", "keyBackPoint"]],
      tool: {
        down: (point) => this.#down(point),
        move: (point) => this.#move(point),
        up: () => this.#up(),
        cancel: () => this.#cancel(),
        hover: (point) => { this.#pointer = point; this.stage.redraw(); },
      },
      draw: (context, stage) => this.#draw(context, stage),
    });
    this.stage.overlay.addEventListener("dblclick", () => this.#closePolygon());
    this.#choose("brush");
    this.#hide(false);
  }

  colorOfLabel(label) {
    const own = this.#colors.get(label);
    if (own) return own;
    // A suggestion brings its own colours, and no two labels may share one.
    const taken = new Set(this.#colors.values());
    const start = this.labelTexts.indexOf(label);
    const free = LABEL_COLORS.slice(start).concat(LABEL_COLORS).find((color) => !taken.has(color));
    this.#colors.set(label, free);
    return free;
  }

  async onImage() {
    const { width, height } = this.stage;
    this.#mask = new Mask(width, height);
    this.#layer.width = width;
    this.#layer.height = height;
    this.#brush = BRUSHES.findLastIndex((size) => size <= Math.max(1, Math.max(width, height) / 30));
    this.#resize(0);
    const source = this.json("initial-value", null)?.src;
    if (source) await this.#loadInitial(source);
    this.#initial = this.#mask.pixels.slice();
    this.#committed = new Mask(width, height);
    this.#committed.pixels.set(this.#mask.pixels);
    this.#recolor({ left: 0, top: 0, right: width, bottom: height });
    this.#count();
  }

  async #loadInitial(source) {
    this.stage.say("maskLoading");
    try {
      const image = await loadImage(source);
      if (image.naturalWidth !== this.stage.width || image.naturalHeight !== this.stage.height) throw new Error("size");
      this.#readMask(image);
      this.stage.say(null);
    } catch {
      this.stage.say("maskFailed");
      setTimeout(() => this.stage.say(null), 6000);
    }
  }

  #readMask(image) {
    const canvas = make("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const words = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const palette = this.labelTexts.map((label) => parts(this.colorOfLabel(label)));
    const known = new Map();
    const read = (word) => {
      if (word >>> 24 < 128) return 0;
      const color = [word & 255, (word >>> 8) & 255, (word >>> 16) & 255];
      const apart = palette.map((each) => Math.max(...each.map((part, at) => Math.abs(part - color[at]))));
      const nearest = apart.indexOf(Math.min(...apart));
      return apart[nearest] <= COLOR_TOLERANCE ? nearest + 1 : 0;
    };
    for (let at = 0; at < words.length; at += 1) {
      const word = words[at];
      if (!known.has(word)) known.set(word, read(word));
      this.#mask.pixels[at] = known.get(word);
    }
  }

  // ---- the answer ----

  get value() {
    // A stroke that has not ended is in the mask already.
    this.#count();
    const used = this.labelTexts.filter((_, index) => this.#counts[index + 1] > 0);
    return {
      inputImageProperties: this.imageProperties,
      labelMappings: Object.fromEntries(used.map((label) => [label, { color: this.colorOfLabel(label) }])),
      labeledImage: { pngImageData: this.#layer.toDataURL("image/png").split(",")[1] },
      ...this.initialValueModified(this.modified),
    };
  }

  get modified() { return this.#mask !== null && this.#mask.pixels.some((index, at) => index !== this.#initial[at]); }

  crowdProblem() {
    if (this.#points.length) { this.notice("shapeOpen"); return true; }
    if (!this.#mask) { this.notice("imageLoading"); return true; }
    return this.#counts.slice(1).some(Boolean) || this.modified ? false : this.confirmEmpty("noneDrawn");
  }

  crowdDraft() { return this.modified ? { width: this.stage.width, height: this.stage.height, runs: this.#mask.toRuns() } : null; }

  async crowdRestore(draft) {
    await this.ready;
    if (!this.#mask || draft.width !== this.stage.width || draft.height !== this.stage.height) return false;
    this.#mask.fromRuns(draft.runs);
    this.#committed.pixels.set(this.#mask.pixels);
    this.#recolor(this.#whole);
    this.#count();
    return true;
  }

  crowdReset() {
    this.#mask.pixels.set(this.#initial);
    this.#commit(this.#whole);
  }

  get #whole() { return { left: 0, top: 0, right: this.stage.width, bottom: this.stage.height }; }

  // ---- painting ----

  #paintIndex() { return this.#tool === "eraser" ? 0 : this.current + 1; }
  #onlyOn() { return this.#keep.checked && this.#tool !== "eraser" ? 0 : null; }

  // An odd brush is centred on a pixel, an even one on a corner: so a brush of 1 paints exactly one pixel.
  #snap(point) {
    const odd = BRUSHES[this.#brush] % 2;
    const snap = (value) => (odd ? Math.floor(value) + 0.5 : Math.round(value));
    return { x: snap(point.x), y: snap(point.y) };
  }

  #down(point) {
    if (!this.#mask) return;
    this.#pointer = point;
    const inside = point.x >= 0 && point.y >= 0 && point.x < this.stage.width && point.y < this.stage.height;
    if (this.#tool === "fill") {
      if (inside && (this.#onlyOn() === null || this.#mask.pixels[Math.floor(point.y) * this.stage.width + Math.floor(point.x)] === 0)) {
        this.#commit(this.#mask.fill(Math.floor(point.x), Math.floor(point.y), this.#paintIndex()));
      }
    } else if (this.#tool === "polygon") {
      this.#addPoint(point);
    } else {
      this.#last = this.#snap(point);
      this.#dab(this.#last, this.#last);
    }
  }

  #move(point) {
    this.#pointer = point;
    if (this.#last) {
      const next = this.#snap(point);
      if (next.x !== this.#last.x || next.y !== this.#last.y) this.#dab(this.#last, next);
      this.#last = next;
    }
    this.stage.redraw();
  }

  #dab(from, to) {
    const area = this.#mask.stroke(from, to, BRUSHES[this.#brush] / 2, this.#paintIndex(), this.#onlyOn());
    const joined = this.#dirty ?? area;
    this.#dirty = { left: Math.min(joined.left, area.left), top: Math.min(joined.top, area.top), right: Math.max(joined.right, area.right), bottom: Math.max(joined.bottom, area.bottom) };
    this.#recolor(area);
  }

  #up() {
    if (!this.#last) return;
    this.#last = null;
    const dirty = this.#dirty;
    this.#dirty = null;
    this.#commit(dirty);
  }

  // A second finger makes the first one's stroke a pinch.
  #cancel() {
    this.#last = null;
    if (!this.#dirty) return;
    this.#mask.paste(this.#dirty, this.#committed.cut(this.#dirty));
    this.#recolor(this.#dirty);
    this.#dirty = null;
  }

  #addPoint(point) {
    const near = (other) => Math.hypot(point.x - other.x, point.y - other.y) * this.stage.scale <= POINT_REACH;
    if (this.#points.length > 2 && near(this.#points[0])) this.#closePolygon();
    else if (!this.#points.length || !near(this.#points.at(-1))) this.#points.push(point);
    this.stage.redraw();
  }

  #closePolygon() {
    if (this.#points.length < 3) return;
    const points = this.#points;
    this.#points = [];
    this.#commit(this.#mask.polygon(points, this.#paintIndex(), this.#onlyOn()));
  }

  // Makes what was painted in a rectangle one step of undo.
  #commit(area) {
    this.#recolor(area);
    if (area.right <= area.left || area.bottom <= area.top) return;
    let other = this.#committed.cut(area);
    this.#committed.paste(area, this.#mask.cut(area));
    const swap = () => {
      const now = this.#mask.cut(area);
      this.#mask.paste(area, other);
      this.#committed.paste(area, other);
      other = now;
      this.#recolor(area);
      this.#count();
    };
    this.#count();
    this.done({ undo: swap, redo: swap, bytes: other.length });
    let held = this.steps.reduce((sum, step) => sum + step.bytes, 0);
    while (held > UNDO_BYTES && this.steps.length > 1) held -= this.forgetOldest().bytes;
  }

  // Paints a rectangle of the layer anew from the mask.
  #recolor({ left, top, right, bottom }) {
    if (right <= left || bottom <= top) return;
    const words = [0, ...this.labelTexts.map((label) => { const [red, green, blue] = parts(this.colorOfLabel(label)); return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; })];
    const image = new ImageData(right - left, bottom - top);
    const target = new Uint32Array(image.data.buffer);
    const piece = this.#mask.cut({ left, top, right, bottom });
    for (let at = 0; at < piece.length; at += 1) target[at] = words[piece[at]];
    this.#layer.getContext("2d").putImageData(image, left, top);
    this.stage.redraw();
  }

  #count() {
    const counts = new Array(this.labelTexts.length + 1).fill(0);
    for (const index of this.#mask.pixels) counts[index] += 1;
    this.#counts = counts;
    const share = (count) => { const percent = 100 * count / this.#mask.pixels.length; return count === 0 ? "" : percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`; };
    this.countLabels(counts.slice(1).map(share));
  }

  // ---- tools and keys ----

  #choose(tool) {
    this.#tool = tool;
    if (tool !== "polygon") this.#points = [];
    for (const [name, button] of this.#toolButtons) button.setAttribute("aria-checked", String(name === tool));
    this.stage.redraw();
  }

  #resize(step) {
    this.#brush = Math.min(Math.max(this.#brush + step, 0), BRUSHES.length - 1);
    this.#size.textContent = `${BRUSHES[this.#brush]} px`;
    this.stage?.redraw();
  }

  #hide(hidden) {
    this.#hidden = hidden;
    this.#hideButton.setAttribute("aria-pressed", String(hidden));
    this.stage.redraw();
  }

  onTravel(direction) {
    if (!this.#points.length || direction !== "undo") return false;
    this.#points.pop();
    this.stage.redraw();
    return true;
  }

  onToolKey(event) {
    if (event.altKey) return false;
    if (this.#points.length) {
      if (event.key === "Enter") { this.#closePolygon(); return true; }
      if (event.key === "Backspace") { this.undo(); return true; }
      if (event.key === "Escape") { this.#points = []; this.stage.redraw(); return true; }
    }
    const tool = TOOLS.find(([, key]) => key === event.key);
    if (tool) this.#choose(tool[0]);
    else if (event.key === "[") this.#resize(-1);
    else if (event.key === "]") this.#resize(1);
    else if (event.key === "h") this.#hide(!this.#hidden);
    else if (event.key === "k") this.#keep.checked = !this.#keep.checked;
    else return false;
    return true;
  }

  #draw(context, stage) {
    if (!this.#hidden) {
      context.globalAlpha = this.#opacity.value / 100;
      stage.drawOverlay(context, this.#layer);
      context.globalAlpha = 1;
    }
    const color = this.colorOfLabel(this.labelTexts[this.current]);
    if (this.#points.length) drawPolygon(context, stage, [...this.#points, ...(this.#pointer ? [this.#pointer] : [])], color, { closed: false, points: true });
    if (this.#pointer && (this.#tool === "brush" || this.#tool === "eraser")) this.#drawBrush(context, stage, color);
  }

  #drawBrush(context, stage, color) {
    const centre = this.#snap(this.#pointer);
    const radius = Math.max(BRUSHES[this.#brush] / 2 * stage.scale, 2);
    for (const [stroke, width] of [["#ffffff", 3.5], [this.#tool === "eraser" ? "#222222" : color, 1.5]]) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.beginPath();
      context.arc(...stage.toScreen(centre.x, centre.y), radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
