// The image that people look at and draw on: two canvases, one for the picture and one for what lies over it,
// with zoom to the pointer, panning, pinching and brightness.

const ZOOM_STEP = 1.25;
const ZOOM_MAXIMUM = 64;
// From this scale on, pixels are shown as squares: small images and exact edges need it.
const SQUARE_PIXELS_FROM = 3;

async function loadImage(source) {
  const image = new Image();
  // As AWS's elements do; a bucket without CORS fails here as it fails there.
  image.crossOrigin = "anonymous";
  image.src = source;
  await image.decode();
  return image;
}

class Stage {
  // For images that are only looked at: a drag moves them, and a finger scrolls the page until they are zoomed.
  dragPans = false;
  width = 0;
  height = 0;
  #view = { scale: 1, x: 0, y: 0 };
  #fitted = true;
  #image = null;
  #frame = 0;
  #pictureStale = true;
  #space = false;
  #pointers = new Map();
  #gesture = null;

  // `draw(context, stage)` draws over the picture; `tool` gets down, move, up, cancel and hover with image coordinates.
  constructor({ draw, tool = null }) {
    this.draw = draw;
    this.tool = tool;
    this.picture = make("canvas", { class: "picture", "aria-hidden": "true" });
    this.overlay = make("canvas", { class: "overlay", tabindex: "0", role: "img" });
    sayAs(this.overlay, "aria-label", "canvas");
    this.message = make("p", { class: "stage-message", role: "status", say: "imageLoading" });
    this.node = make("div", { class: "stage" }, this.picture, this.overlay, this.message);
    this.zoomLabel = make("output", { class: "zoom" });
    new ResizeObserver(() => this.#resize()).observe(this.node);
    const listen = (kind, handler, options) => this.overlay.addEventListener(kind, handler, options);
    listen("pointerdown", (event) => this.#down(event));
    listen("pointermove", (event) => this.#move(event));
    listen("pointerup", (event) => this.#up(event));
    listen("pointercancel", (event) => this.#up(event, true));
    listen("pointerleave", () => { this.tool?.hover?.(null); this.redraw(); });
    listen("wheel", (event) => this.#wheel(event), { passive: false });
    listen("auxclick", (event) => event.preventDefault());
    listen("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      if (event.key !== " " || isTextField(origin(event)) || isPressable(origin(event)) || origin(event).matches?.("input")) return;
      this.#space = true;
      this.#cursor();
      event.preventDefault();
    });
    document.addEventListener("keyup", (event) => { if (event.key === " ") { this.#space = false; this.#cursor(); } });
    window.addEventListener("blur", () => { this.#space = false; });
  }

  get scale() { return this.#view.scale; }
  get loaded() { return this.#image !== null; }

  async load(source) {
    try {
      this.#image = await loadImage(source);
    } catch {
      this.message.classList.add("failed");
      say(this.message, "imageFailed");
      return false;
    }
    this.message.hidden = true;
    this.width = this.#image.naturalWidth;
    this.height = this.#image.naturalHeight;
    this.fit();
    return true;
  }

  say(key) { this.message.hidden = key === null; if (key) say(this.message, key); }
  focus() { this.overlay.focus({ preventScroll: true }); }

  // ---- coordinates: image pixels inside, CSS pixels on the screen ----

  toImage(event) {
    const box = this.overlay.getBoundingClientRect();
    return { x: (event.clientX - box.left - this.#view.x) / this.#view.scale, y: (event.clientY - box.top - this.#view.y) / this.#view.scale };
  }

  toScreen(x, y) { return [x * this.#view.scale + this.#view.x, y * this.#view.scale + this.#view.y]; }

  // The middle of what is visible, in image pixels.
  centre() {
    const clamp = (value, maximum) => Math.min(Math.max(value, 0), maximum);
    return {
      x: clamp((this.node.clientWidth / 2 - this.#view.x) / this.#view.scale, this.width),
      y: clamp((this.node.clientHeight / 2 - this.#view.y) / this.#view.scale, this.height),
    };
  }

  #fitScale() {
    const margin = Math.min(24, this.node.clientWidth * 0.04);
    return Math.max(0.01, Math.min((this.node.clientWidth - 2 * margin) / this.width, (this.node.clientHeight - 2 * margin) / this.height, ZOOM_MAXIMUM));
  }

  fit() {
    if (!this.loaded || !this.node.clientWidth) return;
    const scale = this.#fitScale();
    this.#view = { scale, x: (this.node.clientWidth - this.width * scale) / 2, y: (this.node.clientHeight - this.height * scale) / 2 };
    this.#fitted = true;
    this.#changed();
  }

  // Zooms so that the image's point below (x, y), CSS pixels of the stage, stays where it is.
  zoomAt(x, y, factor) {
    if (!this.loaded) return;
    const scale = Math.min(Math.max(this.#view.scale * factor, this.#fitScale() / 2), ZOOM_MAXIMUM);
    const ratio = scale / this.#view.scale;
    this.#view = { scale, x: x - (x - this.#view.x) * ratio, y: y - (y - this.#view.y) * ratio };
    this.#fitted = false;
    this.#changed();
  }

  zoom(factor) { this.zoomAt(this.node.clientWidth / 2, this.node.clientHeight / 2, factor); }

  pan(x, y) {
    // A corner of the image always stays within reach.
    const keep = 40;
    const limit = (value, size, room) => Math.min(Math.max(value, keep - size), room - keep);
    this.#view.x = limit(this.#view.x + x, this.width * this.#view.scale, this.node.clientWidth);
    this.#view.y = limit(this.#view.y + y, this.height * this.#view.scale, this.node.clientHeight);
    this.#fitted = false;
    this.#changed();
  }

  lookOnly() {
    this.dragPans = true;
    this.node.classList.add("look");
    this.#cursor();
  }

  set brightness(percent) { this.picture.style.filter = percent === 100 ? "" : `brightness(${percent}%)`; }

  onViewKey(event) {
    if (event.key === "+" || event.key === "=") this.zoom(ZOOM_STEP);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP);
    else if (event.key === "z") this.fit();
    else return false;
    return true;
  }

  // ---- drawing ----

  #changed() {
    this.#pictureStale = true;
    this.overlay.classList.toggle("fitted", this.#fitted);
    this.zoomLabel.textContent = `${Math.round(this.#view.scale * 100)} %`;
    this.redraw();
  }

  redraw() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#paint(); });
  }

  #resize() {
    if (!this.node.clientWidth) return;
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = Math.round(this.node.clientWidth * devicePixelRatio);
      canvas.height = Math.round(this.node.clientHeight * devicePixelRatio);
    }
    if (this.#fitted) this.fit();
    this.#changed();
  }

  #paint() {
    if (!this.loaded) return;
    if (this.#pictureStale) {
      const context = this.#context(this.picture);
      context.imageSmoothingEnabled = this.#view.scale < SQUARE_PIXELS_FROM;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.#image, this.#view.x, this.#view.y, this.width * this.#view.scale, this.height * this.#view.scale);
      this.#pictureStale = false;
    }
    const context = this.#context(this.overlay);
    this.draw(context, this);
  }

  #context(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  // Draws a canvas of the image's size over the image.
  drawOverlay(context, canvas) {
    context.imageSmoothingEnabled = this.#view.scale < 1;
    context.drawImage(canvas, this.#view.x, this.#view.y, this.width * this.#view.scale, this.height * this.#view.scale);
  }

  // ---- pointers ----

  #cursor() { this.overlay.classList.toggle("panning", this.#space || this.dragPans); }

  #down(event) {
    if (!this.loaded) return;
    this.overlay.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
    this.focus();
    if (this.#pointers.size === 2) {
      if (this.#gesture === "tool") this.tool?.cancel?.();
      this.#gesture = "pinch";
    } else if (event.button === 1 || this.#space || (this.dragPans && event.button === 0)) {
      this.#gesture = "pan";
    } else if (event.button === 0 && this.tool && this.#pointers.size === 1) {
      this.#gesture = "tool";
      this.tool.down(this.toImage(event), event);
    }
    event.preventDefault();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (this.#gesture === "pan" && before) {
      this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    } else if (this.#gesture === "pinch" && before) {
      this.#pinch(before, event);
    } else if (this.#gesture === "tool" && before) {
      for (const each of event.getCoalescedEvents?.() ?? []) this.tool.move(this.toImage(each), event);
      this.tool.move(this.toImage(event), event);
    } else if (this.loaded) {
      this.tool?.hover?.(this.toImage(event), event);
    }
    if (before) this.#pointers.set(event.pointerId, event);
  }

  #pinch(before, after) {
    const other = [...this.#pointers.values()].find((each) => each.pointerId !== after.pointerId);
    if (!other) return;
    const box = this.overlay.getBoundingClientRect();
    const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = [(after.clientX + other.clientX) / 2 - box.left, (after.clientY + other.clientY) / 2 - box.top];
    this.zoomAt(...middle, distance(after) / Math.max(distance(before), 1));
    this.pan((after.clientX - before.clientX) / 2, (after.clientY - before.clientY) / 2);
  }

  #up(event, cancelled = false) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#gesture === "tool") {
      if (cancelled) this.tool.cancel?.(); else this.tool.up(this.toImage(event), event);
    }
    if (this.#pointers.size === 0) this.#gesture = null;
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.overlay.getBoundingClientRect();
    const step = Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 400);
    this.zoomAt(event.clientX - box.left, event.clientY - box.top, step);
  }
}

function toolButton(iconName, key, onclick, hint = "") {
  const button = make("button", { type: "button", class: "tool", onclick });
  button.append(icon(iconName));
  sayAs(button, "aria-label", key);
  sayAs(button, "title", key);
  if (hint) button.append(make("kbd", {}, hint));
  return button;
}

// Zoom and brightness; a pressed button gives the focus back to the image, where Space moves it.
function viewTools(stage, ...before) {
  const brightness = make("input", { type: "range", min: 40, max: 220, value: 100 });
  brightness.addEventListener("input", () => { stage.brightness = brightness.valueAsNumber; });
  const tools = make("div", { class: "tools", role: "toolbar" },
    ...before,
    make("span", { class: "tool-group" }, toolButton("minus", "zoomOut", () => stage.zoom(1 / ZOOM_STEP)), stage.zoomLabel,
      toolButton("plus", "zoomIn", () => stage.zoom(ZOOM_STEP)), toolButton("fit", "zoomFit", () => stage.fit())),
    sayAs(make("label", { class: "tool-slider" }, icon("sun"), brightness), "title", "brightness"));
  sayAs(brightness, "aria-label", "brightness");
  tools.addEventListener("click", (event) => { if (event.detail > 0 && origin(event).closest?.("button")) stage.focus(); });
  return tools;
}

// A copy of a mask without what is background in it: transparent or white.
function withoutBackground(image) {
  const canvas = make("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let index = 0; index < words.length; index += 1) if ((words[index] & 0xffffff) === 0xffffff) words[index] = 0;
  context.putImageData(pixels, 0, 0);
  return canvas;
}
