// crowd-polygon: click to set points, close, move points, delete.

const POINT_REACH = 9;

class CrowdPolygon extends ShapesWidget {
  #open = [];
  #drag = null;
  #pointer = null;

  build() {
    this.buildDrawing({
      list: this.shapeList("polygons", "noPolygonYet"),
      keys: [["click", "keyPoint"], ["Enter doubleClick", "keyClose"], ["Backspace", "keyBackPoint"], ["Delete", "keyRemove"]],
      tool: {
        down: (point) => this.#down(point),
        move: (point) => this.#move(point),
        up: (point) => this.#up(point),
        cancel: () => { this.#drag = null; },
        hover: (point) => { this.#pointer = point; this.stage.redraw(); },
      },
      draw: (context, stage) => this.#draw(context, stage),
    });
    this.stage.overlay.addEventListener("dblclick", () => this.#close());
  }

  normalised({ label, vertices }) { return { label, vertices: vertices.map(({ x, y }) => ({ x: Number(x), y: Number(y) })) }; }
  describe(polygon) { return ["points", polygon.vertices.length]; }

  get value() {
    return { inputImageProperties: this.imageProperties, polygons: this.shapes.map(({ label, vertices }) => ({ label, vertices })), ...this.initialValueModified(this.modified) };
  }

  #whole(point) {
    return { x: Math.round(Math.min(Math.max(point.x, 0), this.stage.width)), y: Math.round(Math.min(Math.max(point.y, 0), this.stage.height)) };
  }

  #near(one, other) { return Math.hypot(one.x - other.x, one.y - other.y) * this.stage.scale <= POINT_REACH; }

  #down(point) {
    if (this.#open.length) {
      if (this.#open.length > 2 && this.#near(point, this.#open[0])) this.#close();
      else this.#add(point);
      return;
    }
    const vertex = this.selected < 0 ? -1 : this.shapes[this.selected].vertices.findIndex((each) => this.#near(each, point));
    if (vertex >= 0) { this.#drag = { vertex, to: point, far: false }; return; }
    const hit = this.shapes.findLastIndex((shape) => insidePolygon(shape.vertices, point));
    if (hit >= 0 && hit !== this.selected) { this.select(hit); return; }
    this.select(-1);
    this.#add(point);
  }

  #add(point) {
    const whole = this.#whole(point);
    const last = this.#open.at(-1);
    // The second press of a double click sets no second point at the same place.
    if (last && this.#near(last, whole)) return;
    this.#open.push(whole);
    this.stage.redraw();
  }

  #move(point) {
    this.#pointer = point;
    if (this.#drag) { this.#drag.to = point; this.#drag.far = true; }
    this.stage.redraw();
  }

  #up(point) {
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.far) this.change(this.shapes.map((shape, index) => (index === this.selected ? this.#moved(shape, drag.vertex, point) : shape)));
  }

  #moved(shape, vertex, point) { return { ...shape, vertices: shape.vertices.map((each, index) => (index === vertex ? this.#whole(point) : each)) }; }

  #close() {
    if (this.#open.length < 3) return;
    const polygon = { label: this.labelTexts[this.current], vertices: this.#open };
    this.#open = [];
    this.change([...this.shapes, polygon], this.shapes.length, true);
  }

  // While a polygon is open, undo takes back its last point.
  onTravel(direction) {
    if (!this.#open.length || direction !== "undo") return false;
    this.#open.pop();
    this.stage.redraw();
    return true;
  }

  onToolKey(event) {
    if (this.#open.length) {
      if (event.key === "Enter") { this.#close(); return true; }
      if (event.key === "Backspace") { this.undo(); return true; }
      if (event.key === "Escape") { this.#open = []; this.stage.redraw(); return true; }
    }
    return super.onToolKey(event);
  }

  crowdProblem() {
    if (this.#open.length) { this.notice("shapeOpen"); return true; }
    return super.crowdProblem();
  }

  #draw(context, stage) {
    this.shapes.forEach((shape, index) => {
      const selected = index === this.selected;
      const shown = selected && this.#drag?.far ? this.#moved(shape, this.#drag.vertex, this.#drag.to) : shape;
      drawPolygon(context, stage, shown.vertices, this.colorOfLabel(shape.label), { closed: true, points: selected });
    });
    if (this.#open.length) drawPolygon(context, stage, [...this.#open, ...(this.#pointer ? [this.#pointer] : [])], this.colorOfLabel(this.labelTexts[this.current]), { closed: false, points: true });
  }
}

function insidePolygon(vertices, { x, y }) {
  let inside = false;
  vertices.forEach((one, index) => {
    const other = vertices.at(index - 1);
    if ((one.y > y) !== (other.y > y) && x < (other.x - one.x) * (y - one.y) / (other.y - one.y) + one.x) inside = !inside;
  });
  return inside;
}

function drawPolygon(context, stage, vertices, color, { closed, points }) {
  const path = new Path2D();
  vertices.forEach(({ x, y }, index) => (index ? path.lineTo(...stage.toScreen(x, y)) : path.moveTo(...stage.toScreen(x, y))));
  if (closed) path.closePath();
  context.fillStyle = `${color}33`;
  context.fill(path);
  for (const [stroke, width] of [["rgb(255 255 255 / 85%)", 4], [color, 2]]) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.stroke(path);
  }
  if (!points) return;
  for (const { x, y } of vertices) {
    context.beginPath();
    context.arc(...stage.toScreen(x, y), 4.5, 0, 2 * Math.PI);
    context.fillStyle = "#ffffff";
    context.fill();
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.stroke();
  }
}
