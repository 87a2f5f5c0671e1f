// crowd-bounding-box: draw, move, resize, nudge, copy and delete boxes of several classes.

const HANDLE = 9;
const HANDLE_TOUCH = 18;
// Shorter drags, in CSS pixels, are clicks.
const CLICK = 4;
const COPY_OFFSET = 12;
// The handles around a box: which edges each one moves.
const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];
const CURSORS = ["nwse-resize", "ns-resize", "nesw-resize", "ew-resize", "nwse-resize", "ns-resize", "nesw-resize", "ew-resize"];

function drawBox(context, stage, box, color, { selected = false, tag = true }) {
  const [left, top] = stage.toScreen(box.left, box.top);
  const [width, height] = [box.width * stage.scale, box.height * stage.scale];
  context.fillStyle = `${color}${selected ? "40" : "20"}`;
  context.fillRect(left, top, width, height);
  // A white rim keeps the line visible on an image of the same colour.
  context.strokeStyle = "rgb(255 255 255 / 85%)";
  context.lineWidth = selected ? 5 : 4;
  context.strokeRect(left, top, width, height);
  context.strokeStyle = color;
  context.lineWidth = selected ? 3 : 2;
  context.strokeRect(left, top, width, height);
  if (!tag) return;
  context.font = "600 12px system-ui, sans-serif";
  const words = box.label.length > 28 ? `${box.label.slice(0, 27)}…` : box.label;
  const wide = context.measureText(words).width + 12;
  const at = top >= 20 ? top - 20 : top;
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(left - 1, at, wide, 19, 4);
  context.fill();
  context.fillStyle = inkOn(color);
  context.textBaseline = "middle";
  context.fillText(words, left + 5, at + 10);
}

class CrowdBoundingBox extends ShapesWidget {
  #drag = null;
  #pointer = null;

  build() {
    this.buildDrawing({
      list: this.shapeList("boxes", "nothingYet"),
      keys: [["drag", "keyDraw"], ["shiftDrag", "keyDrawOver"], ["n", "keyNewBox"], ["Tab", "keyCycle"], ["← ↑ → ↓", "keyNudge"], ["altArrows", "keyResize"], ["c", "keyDuplicate"], ["Delete", "keyRemove"]],
      tool: {
        down: (point, event) => this.#down(point, event),
        move: (point) => this.#move(point),
        up: (point) => this.#up(point),
        cancel: () => { this.#drag = null; this.stage.redraw(); },
        hover: (point, event) => this.#hover(point, event),
      },
      draw: (context, stage) => this.#draw(context, stage),
    });
  }

  normalised({ label, left, top, width, height }) { return { height: Number(height), label, left: Number(left), top: Number(top), width: Number(width) }; }
  describe(box) { return ["boxSize", box.width, box.height]; }

  get value() {
    return { boundingBoxes: this.shapes.map(({ height, label, left, top, width }) => ({ height, label, left, top, width })), inputImageProperties: this.imageProperties, ...this.initialValueModified(this.modified) };
  }

  // The box between two points, in whole pixels and inside the image.
  #between(label, one, other) {
    const clamp = (value, maximum) => Math.round(Math.min(Math.max(value, 0), maximum));
    const [left, right] = [clamp(Math.min(one.x, other.x), this.stage.width), clamp(Math.max(one.x, other.x), this.stage.width)];
    const [top, bottom] = [clamp(Math.min(one.y, other.y), this.stage.height), clamp(Math.max(one.y, other.y), this.stage.height)];
    return { height: bottom - top, label, left, top, width: right - left };
  }

  #inside(box) {
    const width = Math.min(Math.max(box.width, 1), this.stage.width);
    const height = Math.min(Math.max(box.height, 1), this.stage.height);
    return { height, label: box.label, left: Math.min(Math.max(box.left, 0), this.stage.width - width), top: Math.min(Math.max(box.top, 0), this.stage.height - height), width };
  }

  #handleAt(point, event) {
    if (this.selected < 0) return -1;
    const box = this.shapes[this.selected];
    const reach = (event?.pointerType === "touch" ? HANDLE_TOUCH : HANDLE) / this.stage.scale;
    return HANDLES.findIndex(([x, y]) => Math.abs(point.x - box.left - box.width * (x + 1) / 2) <= reach && Math.abs(point.y - box.top - box.height * (y + 1) / 2) <= reach);
  }

  // The smallest box around a point, so that a box within another can be reached.
  #boxAt(point) {
    const holds = (box) => point.x >= box.left && point.x <= box.left + box.width && point.y >= box.top && point.y <= box.top + box.height;
    const hits = this.shapes.map((box, index) => ({ box, index })).filter(({ box }) => holds(box));
    hits.sort((one, other) => one.box.width * one.box.height - other.box.width * other.box.height);
    return hits.length ? hits[0].index : -1;
  }

  #down(point, event) {
    const handle = event.shiftKey ? -1 : this.#handleAt(point, event);
    const chosen = this.selected >= 0 && !this.fresh && !event.shiftKey;
    const within = chosen && this.#boxAt(point) >= 0 && this.#holdsSelected(point);
    const kind = handle >= 0 ? "resize" : within ? "move" : "draw";
    this.#drag = { kind, handle, from: point, to: point, box: this.shapes[this.selected], far: false };
  }

  #holdsSelected(point) {
    const box = this.shapes[this.selected];
    return point.x >= box.left && point.x <= box.left + box.width && point.y >= box.top && point.y <= box.top + box.height;
  }

  #move(point) {
    if (!this.#drag) return;
    this.#drag.to = point;
    const { from } = this.#drag;
    if (Math.max(Math.abs(point.x - from.x), Math.abs(point.y - from.y)) * this.stage.scale >= CLICK) this.#drag.far = true;
    this.#pointer = point;
    this.stage.redraw();
  }

  // The box as the drag would leave it.
  #dragged() {
    const { kind, handle, from, to, box } = this.#drag;
    if (kind === "draw") return this.#between(this.labelTexts[this.current], from, to);
    const [x, y] = [to.x - from.x, to.y - from.y];
    if (kind === "move") return this.#inside({ ...box, left: Math.round(box.left + x), top: Math.round(box.top + y) });
    const [sideX, sideY] = HANDLES[handle];
    const start = { x: box.left + (sideX < 0 ? x : 0), y: box.top + (sideY < 0 ? y : 0) };
    const end = { x: box.left + box.width + (sideX > 0 ? x : 0), y: box.top + box.height + (sideY > 0 ? y : 0) };
    return this.#inside(this.#between(box.label, start, end));
  }

  #up(point) {
    this.#move(point);
    const drag = this.#drag;
    if (!drag) return;
    const box = this.#dragged();
    this.#drag = null;
    if (!drag.far) { this.select(this.#boxAt(point)); return; }
    if (drag.kind !== "draw") this.change(this.shapes.map((each, index) => (index === this.selected ? box : each)), this.selected, this.fresh);
    else if (box.width > 0 && box.height > 0) this.change([...this.shapes, box], this.shapes.length, true);
    this.stage.redraw();
  }

  #hover(point, event) {
    this.#pointer = point;
    const handle = point ? this.#handleAt(point, event) : -1;
    const moves = point && this.selected >= 0 && !this.fresh && !event?.shiftKey && this.#holdsSelected(point);
    this.stage.overlay.style.cursor = handle >= 0 ? CURSORS[handle] : moves ? "move" : "";
    this.stage.redraw();
  }

  #draw(context, stage) {
    const dragged = this.#drag?.far ? this.#dragged() : null;
    this.shapes.forEach((box, index) => {
      const selected = index === this.selected;
      const shown = selected && dragged && this.#drag.kind !== "draw" ? dragged : box;
      drawBox(context, stage, shown, this.colorOfLabel(box.label), { selected });
      if (selected) this.#drawHandles(context, stage, shown);
    });
    if (dragged && this.#drag.kind === "draw") drawBox(context, stage, dragged, this.colorOfLabel(dragged.label), { selected: true });
    else if (this.#pointer && !this.#drag && !stage.overlay.style.cursor) this.#drawCross(context, stage);
  }

  #drawHandles(context, stage, box) {
    for (const [x, y] of HANDLES) {
      const [left, top] = stage.toScreen(box.left + box.width * (x + 1) / 2, box.top + box.height * (y + 1) / 2);
      context.beginPath();
      context.arc(left, top, 4.5, 0, 2 * Math.PI);
      context.fillStyle = "#ffffff";
      context.fill();
      context.strokeStyle = this.colorOfLabel(box.label);
      context.lineWidth = 2;
      context.stroke();
    }
  }

  #drawCross(context, stage) {
    const [x, y] = stage.toScreen(this.#pointer.x, this.#pointer.y);
    const [left, top] = stage.toScreen(0, 0);
    const [right, bottom] = stage.toScreen(stage.width, stage.height);
    if (x < left || x > right || y < top || y > bottom) return;
    for (const [color, dash] of [["rgb(0 0 0 / 55%)", []], ["rgb(255 255 255 / 90%)", [4, 4]]]) {
      context.strokeStyle = color;
      context.lineWidth = 1;
      context.setLineDash(dash);
      context.beginPath();
      context.moveTo(left, Math.round(y) + 0.5);
      context.lineTo(right, Math.round(y) + 0.5);
      context.moveTo(Math.round(x) + 0.5, top);
      context.lineTo(Math.round(x) + 0.5, bottom);
      context.stroke();
    }
    context.setLineDash([]);
  }

  duplicate(index) {
    if (index < 0) return;
    const box = this.shapes[index];
    const copy = this.#inside({ ...box, left: box.left + COPY_OFFSET, top: box.top + COPY_OFFSET });
    this.change([...this.shapes, copy], this.shapes.length);
    this.stage.focus();
  }

  onToolKey(event, target) {
    if (super.onToolKey(event)) return true;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && this.selected >= 0 && !target.matches?.("input")) {
      const step = event.shiftKey ? 10 : 1;
      const [x, y] = [arrow[0] * step, arrow[1] * step];
      const box = this.shapes[this.selected];
      const moved = event.altKey ? { ...box, width: box.width + x, height: box.height + y } : { ...box, left: box.left + x, top: box.top + y };
      this.change(this.shapes.map((each, index) => (index === this.selected ? this.#inside(moved) : each)), this.selected, this.fresh);
      return true;
    }
    if (event.altKey) return false;
    if (event.key === "c" && this.selected >= 0) { this.duplicate(this.selected); return true; }
    if (event.key === "n" && this.stage.loaded) { this.#newBox(); return true; }
    if (event.key === "Tab" && !event.shiftKey && target === this.stage.overlay && this.selected < this.shapes.length - 1) {
      this.select(this.selected + 1);
      return true;
    }
    return false;
  }

  // A box without a mouse: in the middle of what is visible, to be moved by the arrow keys.
  #newBox() {
    const { x, y } = this.stage.centre();
    const [width, height] = [this.stage.width / 4, this.stage.height / 4];
    const box = this.#between(this.labelTexts[this.current], { x: x - width / 2, y: y - height / 2 }, { x: x + width / 2, y: y + height / 2 });
    this.change([...this.shapes, this.#inside(box)], this.shapes.length, true);
    this.stage.focus();
  }
}
