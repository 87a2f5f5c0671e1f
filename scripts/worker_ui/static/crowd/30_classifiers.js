// The frame of every annotation widget, with its instructions, and the four classifiers.

class Widget extends CrowdElement {
  #noticeNode = make("p", { class: "notice", role: "alert" });
  #confirmed = null;
  keysDialog = null;
  fullDialog = null;

  // The frame: instructions at the left, the work in the middle, the choices and Submit at the right.
  frame(work, choices, keys) {
    for (const [region, slot] of [["short-instructions", "short"], ["full-instructions", "full"]]) {
      const node = this.region(region);
      if (node) node.slot = slot;
    }
    const full = this.region("full-instructions");
    this.fullDialog = dialogOf("fullInstructions", ...(full?.getAttribute("header") ? [make("h3", { class: "full-header" }, full.getAttribute("header"))] : []), make("slot", { name: "full" }));
    this.keysDialog = dialogOf("keysTitle", keyTable([...keys, ["Enter", "keySubmit"], ["i", "keyInstructions"], ...(inPortal ? [["Alt+S", "keySkip"], ["Alt+R", "keyReturn"]] : [])]));
    const submit = make("button", { type: "button", class: "button primary submit", onclick: () => this.closest("crowd-form")?.submit() });
    submit.append(say(make("span"), "submit"), make("kbd", {}, "Enter"));
    const short = this.region("short-instructions");
    const guide = make("details", { class: "guide", open: !matchMedia("(max-width: 800px)").matches || undefined },
      make("summary", { say: "instructions" }), make("div", { class: "guide-text" }, make("slot", { name: "short" }),
        full ? make("button", { type: "button", class: "button quiet", onclick: () => this.fullDialog.showModal() }, icon("book"), say(make("span"), "fullInstructions")) : null));
    const keysButton = make("button", { type: "button", class: "button quiet keys-button", onclick: () => this.keysDialog.showModal() }, icon("keyboard"), say(make("span"), "keys"));
    shadow(this, make("div", { class: `widget${short || full ? "" : " without-guide"}` },
      short || full ? make("aside", { class: "side" }, guide) : null,
      make("section", { class: "work" }, make("div", { class: "work-head" }, make("h1", {}, this.text("header"))), ...work),
      make("section", { class: "choices" }, ...choices, make("div", { class: "send" }, this.#noticeNode, submit, keysButton))),
    this.fullDialog, this.keysDialog);
    keyListeners.push(this);
  }

  get name() { return this.text("name"); }

  notice(key) { spoken.delete(this.#noticeNode); this.#noticeNode.textContent = ""; if (key) say(this.#noticeNode, key); }

  // An empty answer may be right, but has to be meant: the second Submit confirms it.
  confirmEmpty(key) {
    if (this.#confirmed === key) return false;
    this.#confirmed = key;
    this.notice(key);
    return true;
  }

  touched() { this.#confirmed = null; this.notice(null); this.changed(); }

  onCrowdKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "i" && this.region("full-instructions")) { this.fullDialog.showModal(); return true; }
    if (event.key === "?") { this.keysDialog.showModal(); return true; }
    return false;
  }

  crowdContribute(answer) { if (this.name) answer[this.name] = this.value; }
}

function keyTable(rows) {
  return make("dl", { class: "key-table" }, ...rows.flatMap(([keys, meaning]) => [
    make("dt", {}, ...keys.split(" ").map((key) => (key in TEXTS.en ? make("kbd", { say: key }) : make("kbd", {}, key)))),
    make("dd", { say: meaning }),
  ]));
}

// The key of the nth choice, where it has one.
const choiceKey = (index) => (index < 9 ? String(index + 1) : index === 9 ? "0" : "");

// The index of the choice that a pressed key stands for.
function choiceOf(event, count) {
  if (!/^[0-9]$/.test(event.key)) return -1;
  const index = event.key === "0" ? 9 : Number(event.key) - 1;
  return index < count ? index : -1;
}

class Classifier extends Widget {
  #options = [];
  #comment = null;
  many = false;

  buildClassifier(work, overlayKeys = []) {
    const categories = this.json("categories", []);
    const exclusion = this.many ? this.json("exclusion-category", null) : null;
    const texts = [...categories.map((each) => String(each?.label ?? each)), ...(exclusion ? [String(exclusion.text)] : [])];
    const rows = texts.map((label, index) => {
      const control = make("input", { type: this.many ? "checkbox" : "radio", name: "choice", value: label });
      control.addEventListener("change", () => this.#choose(index, control.checked));
      this.#options.push({ label, control, exclusive: exclusion !== null && index === texts.length - 1 });
      const key = choiceKey(index);
      return make("label", { class: "choice" }, control, make("span", { class: "choice-text", dir: "auto" }, label), key ? make("kbd", {}, key) : null);
    });
    const list = make("div", { class: "choice-list", role: this.many ? "group" : "radiogroup", "aria-labelledby": "question" },
      make("h2", { id: "question", say: this.many ? "chooseAny" : "chooseOne" }), ...rows);
    this.frame(work, [list, this.#commentPart()], [["1 … 9", "keyChoose"], ...overlayKeys, ...(this.#comment ? [["c", "keyComment"]] : []), ["Esc", "keyLeave"]]);
  }

  #commentPart() {
    const region = this.region("worker-comment");
    if (!region) return null;
    region.hidden = true;
    this.#comment = make("textarea", { rows: 3, placeholder: region.getAttribute("placeholder") });
    this.#comment.addEventListener("input", () => this.touched());
    const link = region.getAttribute("link-text");
    const header = region.getAttribute("header");
    const summary = make("summary");
    const caption = make("span", { class: "field-label" });
    if (link) summary.textContent = link; else say(summary, "comment");
    if (header) caption.textContent = header; else say(caption, "commentHeader");
    return make("details", { class: "comment" }, summary, make("label", { class: "field" }, caption, this.#comment));
  }

  #openComment() {
    this.#comment.closest("details").open = true;
    this.#comment.focus();
  }

  #choose(index, on) {
    const chosen = this.#options[index];
    chosen.control.checked = on;
    if (on && this.many) {
      for (const option of this.#options) {
        if (option !== chosen && (chosen.exclusive || option.exclusive)) option.control.checked = false;
      }
    }
    this.touched();
  }

  get #chosen() { return this.#options.filter((option) => option.control.checked).map((option) => option.label); }

  get value() {
    const value = this.many ? { labels: this.#chosen } : { label: this.#chosen[0] };
    const comment = this.#comment?.value.trim();
    if (comment) value.workerComment = comment;
    return value;
  }

  onCrowdKey(event, target) {
    if (super.onCrowdKey(event, target)) return true;
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const index = choiceOf(event, this.#options.length);
    if (index >= 0) {
      const { control } = this.#options[index];
      this.#choose(index, !this.many || !control.checked);
      control.focus();
      return true;
    }
    if (event.key === "c" && this.#comment) { this.#openComment(); return true; }
    return false;
  }

  crowdProblem() {
    if (this.#chosen.length) return false;
    if (this.many && !this.#options.some((option) => option.exclusive)) return this.confirmEmpty("noneChosen");
    this.notice("chooseFirst");
    return true;
  }

  crowdDraft() { return { chosen: this.#chosen, comment: this.#comment?.value ?? "" }; }

  crowdRestore(draft) {
    for (const option of this.#options) option.control.checked = draft.chosen.includes(option.label);
    if (this.#comment && draft.comment) {
      this.#comment.value = draft.comment;
      this.#comment.closest("details").open = true;
    }
    return draft.chosen.length > 0 || draft.comment !== "";
  }

  crowdReset() { this.crowdRestore({ chosen: [], comment: "" }); }
}

class CrowdClassifier extends Classifier {
  build() {
    const target = this.region("classification-target");
    if (target) target.slot = "target";
    this.buildClassifier([make("div", { class: "target", tabindex: "0" }, make("slot", { name: "target" }))]);
  }
}

class CrowdClassifierMultiSelect extends CrowdClassifier { many = true; }

class CrowdImageClassifier extends Classifier {
  #stage = null;
  #overlay = null;
  #canvas = null;
  #opacity = null;

  build() {
    this.#stage = new Stage({ draw: (context, stage) => this.#draw(context, stage) });
    const tools = viewTools(this.#stage);
    const overlay = this.many ? null : this.json("overlay", null);
    const keys = [["+ - z", "keyZoom"], ["wheel", "keyWheel"], ["drag", "keyPan"]];
    if (overlay) {
      this.#opacity = make("input", { type: "range", min: 0, max: 100, value: 60 });
      this.#opacity.addEventListener("input", () => this.#stage.redraw());
      tools.append(make("label", { class: "tool-slider" }, icon("eye"), say(make("span"), "opacity"), this.#opacity));
      keys.push(["h", "keyHideOverlay"]);
      this.#overlay = overlay;
    }
    this.buildClassifier([tools, this.#stage.node], keys);
    this.#stage.lookOnly();
    this.#load();
  }

  async #load() {
    await this.#stage.load(this.text("src"));
    const mask = this.#overlay?.semanticSegmentation ?? this.#overlay?.instanceSegmentation;
    if (!mask?.src) return;
    const image = await loadImage(mask.src);
    this.#canvas = withoutBackground(image);
    this.#stage.redraw();
  }

  #draw(context, stage) {
    if (!this.#overlay || this.#opacity.dataset.hidden) return;
    context.globalAlpha = this.#opacity.value / 100;
    if (this.#canvas) stage.drawOverlay(context, this.#canvas);
    const boxes = this.#overlay.boundingBox;
    for (const box of boxes?.value ?? []) drawBox(context, stage, box, colorOf(boxes.labels.indexOf(box.label)), {});
    context.globalAlpha = 1;
  }

  onCrowdKey(event, target) {
    if (super.onCrowdKey(event, target)) return true;
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "h" && this.#overlay) {
      this.#opacity.dataset.hidden = this.#opacity.dataset.hidden ? "" : "yes";
      this.#stage.redraw();
      return true;
    }
    return this.#stage.onViewKey(event);
  }
}

class CrowdImageClassifierMultiSelect extends CrowdImageClassifier { many = true; }
