// What the drawing widgets have in common: labels with their colours, the list of what is drawn, undo and redo.

const colorOf = (index) => LABEL_COLORS[Math.max(index, 0) % LABEL_COLORS.length];

function parts(color) { return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)); }

// Black or white, whichever can be read on the colour (WCAG relative luminance, simplified).
function inkOn(color) {
  const [red, green, blue] = parts(color);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000000" : "#ffffff";
}

class DrawingWidget extends Widget {
  stage = null;
  current = 0;
  labelTexts = [];
  #past = [];
  #future = [];
  #labelRows = make("div", { class: "label-list", role: "radiogroup" });
  #undo = null;
  #redo = null;

  buildDrawing({ tools = [], list = null, keys, tool, draw }) {
    this.stage = new Stage({ draw, tool });
    this.#undo = toolButton("undo", "undo", () => this.undo());
    this.#redo = toolButton("redo", "redo", () => this.redo());
    const bar = viewTools(this.stage, ...tools, make("span", { class: "tool-group" }, this.#undo, this.#redo));
    this.labels = this.json("labels", []).map((each) => String(each?.label ?? each));
    sayAs(this.#labelRows, "aria-label", "labels");
    const heading = say(make("h2"), "labels");
    this.frame([bar, this.stage.node], [make("div", { class: "label-panel" }, heading, this.#labelRows), list],
      [["1 … 9", "keyChoose"], [", .", "keyChooseNext"], ...keys, ["u Ctrl+Z", "keyUndo"], ["y Ctrl+Y", "keyRedo"],
        ["+ - z", "keyZoom"], ["wheel", "keyWheel"], ["spaceDrag", "keyPan"], ["Esc", "keyLeave"]]);
    this.#offer();
    this.ready = this.stage.load(this.text("src")).then((loaded) => (loaded ? this.onImage() : undefined));
  }

  async onImage() {}

  // AWS's samples read and set this property.
  get labels() { return this.labelTexts; }
  set labels(labels) {
    this.labelTexts = [...labels];
    this.#labelRows.replaceChildren(...this.labelTexts.map((label, index) => {
      const key = choiceKey(index);
      const row = make("button", { type: "button", class: "label", role: "radio", onclick: (event) => { this.chooseLabel(index); if (event.detail > 0) this.stage.focus(); } },
        make("span", { class: "swatch" }), make("span", { class: "label-text", dir: "auto" }, label), make("span", { class: "label-count" }), key ? make("kbd", {}, key) : null);
      row.querySelector(".swatch").style.background = this.colorOfLabel(label);
      return row;
    }));
    this.#markLabel();
  }

  colorOfLabel(label) { return colorOf(this.labelTexts.indexOf(label)); }

  chooseLabel(index) {
    this.current = index;
    this.#markLabel();
    this.onLabel();
    this.stage.redraw();
  }

  onLabel() {}

  #markLabel() {
    [...this.#labelRows.children].forEach((row, index) => row.setAttribute("aria-checked", String(index === this.current)));
  }

  // What stands beside each label: how many, or how much of the image.
  countLabels(texts) { [...this.#labelRows.children].forEach((row, index) => { row.querySelector(".label-count").textContent = texts[index] ?? ""; }); }

  // ---- undo and redo: steps are functions, so that a mask can keep rectangles and boxes their few numbers ----

  done(step) {
    this.#past.push(step);
    this.#future = [];
    this.#offer();
    this.touched();
  }

  forgetOldest() { return this.#past.shift(); }
  get steps() { return this.#past; }

  undo() { this.#travel(this.#past, this.#future, "undo"); }
  redo() { this.#travel(this.#future, this.#past, "redo"); }

  #travel(from, to, direction) {
    if (this.onTravel?.(direction)) return;
    const step = from.pop();
    if (!step) return;
    step[direction]();
    to.push(step);
    this.#offer();
    this.touched();
  }

  #offer() {
    this.#undo.disabled = this.#past.length === 0;
    this.#redo.disabled = this.#future.length === 0;
  }

  // The labels in use, with the colours in which they are drawn.
  initialValueModified(value) { return this.hasInitialValue ? { initialValueModified: value } : {}; }
  get hasInitialValue() { return this.text("initial-value").trim() !== ""; }

  get imageProperties() { return { height: this.stage.height, width: this.stage.width }; }

  onCrowdKey(event, target) {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      if (key === "z") { if (event.shiftKey) this.redo(); else this.undo(); return true; }
      if (key === "y") { this.redo(); return true; }
      return false;
    }
    if (super.onCrowdKey(event, target)) return true;
    if (this.onToolKey(event, target)) return true;
    if (event.altKey) return false;
    const index = choiceOf(event, this.labelTexts.length);
    if (index >= 0) this.chooseLabel(index);
    else if (event.key === "," || event.key === ".") this.chooseLabel((this.current + (event.key === "." ? 1 : -1) + this.labelTexts.length) % this.labelTexts.length);
    else if (event.key === "u") this.undo();
    else if (event.key === "y") this.redo();
    else return this.stage.onViewKey(event);
    return true;
  }

  onToolKey() { return false; }
}

// Widgets whose drawing is a list of shapes: boxes and polygons.
class ShapesWidget extends DrawingWidget {
  shapes = [];
  selected = -1;
  // True for a shape that was just drawn: it can be nudged, but digits and drags belong to the next one.
  fresh = false;
  initial = [];
  #list = make("ul", { class: "shape-list" });
  #empty = null;

  shapeList(titleKey, emptyKey) {
    this.#empty = make("p", { class: "hint", say: emptyKey });
    return make("div", { class: "shape-panel" }, say(make("h2"), titleKey), this.#empty, this.#list);
  }

  async onImage() {
    const given = this.json("initial-value", []) ?? [];
    this.initial = given.filter((shape) => {
      const known = this.labelTexts.includes(shape.label);
      if (!known) console.error(`<${this.localName}> initial-value has the label ${JSON.stringify(shape.label)}, which is not in labels`);
      return known;
    }).map((shape) => this.normalised(shape));
    this.shapes = structuredClone(this.initial);
    this.show();
  }

  // Replaces the shapes, as one step that can be undone.
  change(shapes, selected = this.selected, fresh = false) {
    const before = { shapes: this.shapes, selected: this.selected };
    const after = { shapes, selected };
    const put = (state) => { this.shapes = state.shapes; this.select(Math.min(state.selected, state.shapes.length - 1)); };
    put(after);
    this.fresh = fresh;
    this.done({ undo: () => put(before), redo: () => put(after) });
  }

  select(index, fresh = false) {
    this.selected = index;
    this.fresh = fresh;
    this.show();
  }

  remove(index) {
    if (index < 0) return;
    this.change(this.shapes.filter((_, at) => at !== index), -1);
    this.stage.focus();
  }

  show() {
    this.#empty.hidden = this.shapes.length > 0;
    this.#list.replaceChildren(...this.shapes.map((shape, index) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = this.colorOfLabel(shape.label);
      const choose = make("button", { type: "button", class: "shape", "aria-pressed": String(index === this.selected), onclick: (event) => { this.select(index); if (event.detail > 0) this.stage.focus(); } },
        swatch, make("span", { class: "label-text", dir: "auto" }, shape.label), make("span", { class: "shape-size", say: this.describe(shape) }));
      const extra = this.duplicate ? [sayAs(sayAs(make("button", { type: "button", class: "mini", onclick: () => this.duplicate(index) }, icon("copy")), "aria-label", "duplicate"), "title", "duplicate")] : [];
      const remove = sayAs(sayAs(make("button", { type: "button", class: "mini", onclick: () => this.remove(index) }, icon("trash")), "aria-label", "remove"), "title", "remove");
      return make("li", {}, choose, ...extra, remove);
    }));
    this.#list.querySelector('[aria-pressed="true"]')?.scrollIntoView({ block: "nearest" });
    this.countLabels(this.labelTexts.map((label) => { const count = this.shapes.filter((shape) => shape.label === label).length; return count ? String(count) : ""; }));
    this.stage.redraw();
  }

  // A digit gives the next shape its label, and the selected one too, unless that was only just drawn.
  onLabel() {
    if (this.selected < 0 || this.fresh) return;
    const label = this.labelTexts[this.current];
    if (this.shapes[this.selected].label === label) return;
    this.change(this.shapes.map((shape, index) => (index === this.selected ? { ...shape, label } : shape)));
  }

  get modified() { return JSON.stringify(this.shapes) !== JSON.stringify(this.initial); }

  onToolKey(event) {
    if (event.altKey && !event.key.startsWith("Arrow")) return false;
    if (event.key === "Escape") { this.select(-1); return true; }
    if ((event.key === "Delete" || event.key === "Backspace") && this.selected >= 0) { this.remove(this.selected); return true; }
    return false;
  }

  crowdProblem() { return this.shapes.length === 0 && !this.modified ? this.confirmEmpty("noneDrawn") : false; }
  crowdDraft() { return this.modified ? this.shapes : null; }

  async crowdRestore(shapes) {
    await this.ready;
    this.shapes = shapes;
    this.select(-1);
    return true;
  }

  crowdReset() { if (this.modified) this.change(structuredClone(this.initial), -1); }
}
