// crowd-form and the simple elements: button, input, text area, slider, checkbox, radio, alert, instructions.

class CrowdForm extends CrowdElement {
  #drafting = 0;
  #sending = false;

  build() {
    const widgets = [...this.querySelectorAll("*")].filter((node) => node instanceof Widget);
    this.classList.toggle("plain", widgets.length === 0);
    if (!widgets.length && !this.querySelector('crowd-button[form-action="submit"]')) {
      this.append(make("crowd-button", { "form-action": "submit", variant: "primary", say: "submit" }));
    }
    const keep = () => {
      clearTimeout(this.#drafting);
      this.#drafting = setTimeout(() => tellPortal({ kind: "draft", draft: this.draft() }), 300);
    };
    for (const kind of ["crowd-change", "input", "change"]) this.addEventListener(kind, keep);
  }

  #fields() {
    return [...this.querySelectorAll("*")].filter((node) => node.crowdContribute
      || node.matches("input[name], textarea[name], select[name], object-value-input[name]"));
  }

  // The answer as Ground Truth stores it: one key for each name.
  answer() {
    const answer = {};
    for (const field of this.#fields()) {
      if (field.crowdContribute) { field.crowdContribute(answer); continue; }
      const name = field.getAttribute("name");
      if (field.matches("input[type=checkbox], input[type=radio]")) {
        answer[name] = { ...answer[name], [field.value]: field.checked };
      } else if (!field.matches("input[type=button], input[type=submit], input[type=reset]")) {
        answer[name] = field.value;
      }
    }
    return answer;
  }

  draft() {
    const draft = {};
    this.#fields().forEach((field, index) => {
      const key = `${index} ${field.getAttribute("name") ?? ""}`;
      if (field.crowdDraft) draft[key] = field.crowdDraft();
      else if (field.matches("input[type=checkbox], input[type=radio]")) draft[key] = field.checked;
      else draft[key] = field.value;
    });
    return draft;
  }

  async restore(draft) {
    let restored = false;
    await Promise.all(this.#fields().map(async (field, index) => {
      const saved = draft[`${index} ${field.getAttribute("name") ?? ""}`];
      if (saved === undefined || saved === null) return;
      if (field.crowdRestore) restored = await field.crowdRestore(saved) || restored;
      else if (field.matches("input[type=checkbox], input[type=radio]")) field.checked = saved;
      else field.value = saved;
      // A template's own script shows what its fields hold.
      if (!field.crowdRestore) field.dispatchEvent(new Event("input", { bubbles: true }));
    }));
    if (restored) toast("draft");
  }

  submit() {
    if (this.#sending) return;
    for (const field of this.#fields()) {
      if (field.crowdProblem?.()) return;
      if (field.validate && field.validate() === false) return;
      if (field.reportValidity && field.matches("input, textarea, select") && !field.reportValidity()) return;
    }
    const event = new SubmitEvent("submit", { bubbles: true, cancelable: true });
    if (!this.dispatchEvent(event)) return;
    const answer = this.answer();
    clearTimeout(this.#drafting);
    this.sending = true;
    document.dispatchEvent(new CustomEvent("crowd-answer", { detail: answer }));
    tellPortal({ kind: "answer", answer });
    if (!inPortal) {
      toast("sent");
      this.sending = false;
    }
  }

  // While the portal sends the answer; a second Enter must not send it twice.
  set sending(value) {
    this.#sending = value;
    this.toggleAttribute("aria-busy", value);
  }

  reset() {
    for (const field of this.#fields()) {
      if (field.crowdReset) field.crowdReset();
      else if (field.matches("input[type=checkbox], input[type=radio]")) field.checked = field.defaultChecked;
      else if ("defaultValue" in field) field.value = field.defaultValue;
    }
    this.dispatchEvent(new Event("reset", { bubbles: true }));
  }
}

let toastNode = null;
function toast(key) {
  toastNode?.remove();
  toastNode = make("div", { class: "crowd-toast", role: "status", say: key });
  document.body.append(toastNode);
  const shown = toastNode;
  setTimeout(() => shown.remove(), 2600);
}

class CrowdButton extends CrowdElement {
  static observedAttributes = ["disabled", "loading"];
  #button = null;

  build() {
    const variant = this.text("variant", "normal");
    this.#button = make("button", { type: "button", class: `button ${variant}`, part: "button" }, make("slot"));
    if (this.hasAttribute("icon-url")) {
      const image = make("img", { src: this.text("icon-url"), alt: "", class: "button-icon" });
      if (this.text("icon-align") === "right") this.#button.append(image); else this.#button.prepend(image);
    }
    shadow(this, this.#button);
    this.#button.addEventListener("click", () => {
      const form = this.closest("crowd-form");
      if (this.hasAttribute("href")) window.open(this.text("href"), this.text("target", "_self"));
      else if (this.text("form-action") === "submit") form?.submit();
      else if (this.text("form-action") === "reset") form?.reset();
    });
    this.attributeChangedCallback();
  }

  attributeChangedCallback() {
    if (this.#button) this.#button.disabled = this.flag("disabled") || this.flag("loading");
  }

  get disabled() { return this.flag("disabled"); }
  set disabled(value) { this.toggleAttribute("disabled", Boolean(value)); }
  focus() { this.#button?.focus(); }
}

// A field with one native control, a label, and a place for what is wrong.
class CrowdField extends CrowdElement {
  control = null;
  message = null;

  field(control, ...extra) {
    this.control = control;
    this.message = make("p", { class: "field-problem", role: "alert", id: "problem" });
    control.setAttribute("aria-describedby", "problem");
    control.disabled = this.flag("disabled");
    const caption = this.text("label");
    shadow(this, make("label", { class: "field" }, ...(caption ? [make("span", { class: "field-label" }, caption)] : []), control, ...extra), this.message);
    for (const kind of ["input", "change"]) {
      control.addEventListener(kind, (event) => {
        this.message.textContent = "";
        if (!event.composed) this.dispatchEvent(new Event(kind, { bubbles: true }));
        this.changed();
      });
    }
    if (this.flag("auto-validate")) control.addEventListener("blur", () => this.crowdProblem(false));
    if (this.flag("auto-focus")) requestAnimationFrame(() => control.focus());
  }

  get value() { return this.control ? this.control.value : this.text("value"); }
  set value(value) { if (this.control) this.control.value = value ?? ""; else this.setAttribute("value", value); }
  get name() { return this.text("name"); }
  get disabled() { return this.flag("disabled"); }
  set disabled(value) { this.toggleAttribute("disabled", Boolean(value)); if (this.control) this.control.disabled = value; }
  focus() { this.control?.focus(); }

  crowdContribute(answer) { if (this.name && this.value !== "") answer[this.name] = this.value; }
  crowdDraft() { return this.value; }
  crowdRestore(value) { this.value = value; return value !== this.text("value"); }
  crowdReset() { this.value = this.text("value"); this.message.textContent = ""; }

  crowdProblem(focus = true) {
    const value = this.value;
    const custom = this.text("error-message");
    const shortest = this.number("min-length", 0);
    const longest = this.number("max-length", Infinity);
    let problem = null;
    if (this.flag("required") && value === "") problem = ["required"];
    else if (value !== "" && value.length < shortest) problem = ["tooShort", shortest];
    else if (value.length > longest) problem = ["tooLong", longest];
    else if (value !== "" && this.hasAttribute("allowed-pattern")
      && !new RegExp(`^(?:${this.text("allowed-pattern")})*$`, "u").test(value)) problem = ["notAllowed"];
    spoken.delete(this.message);
    this.message.textContent = "";
    this.control.toggleAttribute("aria-invalid", problem !== null);
    if (!problem) return false;
    if (custom) this.message.textContent = custom; else say(this.message, ...problem);
    if (focus) this.focus();
    return true;
  }

  validate() { return !this.crowdProblem(); }
}

class CrowdInput extends CrowdField {
  build() {
    this.field(make("input", {
      type: this.text("type", "text"), value: this.text("value"), placeholder: this.getAttribute("placeholder"),
      required: this.flag("required"), autocomplete: "off",
    }));
  }
}

class CrowdTextArea extends CrowdField {
  build() {
    const control = make("textarea", { rows: this.number("rows", 3), placeholder: this.getAttribute("placeholder"), maxlength: this.getAttribute("max-length") });
    control.value = this.text("value");
    const rows = this.number("max-rows", 0);
    if (rows) control.style.maxHeight = `${rows * 1.6}em`;
    const counter = this.flag("char-counter") ? make("span", { class: "field-counter" }) : null;
    const update = () => { if (counter) counter.textContent = this.hasAttribute("max-length") ? `${control.value.length} / ${this.text("max-length")}` : String(control.value.length); };
    control.addEventListener("input", update);
    this.field(control, ...(counter ? [counter] : []));
    update();
  }
}

class CrowdSlider extends CrowdField {
  build() {
    const control = make("input", { type: "range", min: this.number("min", 0), max: this.number("max", 100), step: this.number("step", 1) });
    control.value = this.number("value", this.number("min", 0));
    const shown = make("output", { class: "slider-value" }, control.value);
    control.addEventListener("input", () => { shown.textContent = control.value; });
    this.field(control, ...(this.flag("pin") || this.flag("editable") ? [shown] : []));
  }

  get value() { return this.control ? this.control.valueAsNumber : this.number("value", this.number("min", 0)); }
  set value(value) { this.control.value = value; }
  crowdContribute(answer) { if (this.name) answer[this.name] = this.value; }
  crowdReset() { this.value = this.number("value", this.number("min", 0)); }
  crowdRestore(value) { this.value = value; return false; }
  crowdProblem() { return false; }
}

class CrowdToggle extends CrowdField {
  toggle(type) {
    const control = make("input", { type });
    control.checked = this.flag("checked");
    control.disabled = this.flag("disabled");
    this.control = control;
    this.message = make("p", { class: "field-problem", role: "alert" });
    shadow(this, make("label", { class: "toggle" }, control, make("span", {}, make("slot"))), this.message);
    control.addEventListener("change", () => {
      this.message.textContent = "";
      if (this.checked) this.onChecked();
      this.dispatchEvent(new Event("change", { bubbles: true }));
      this.changed();
    });
  }

  onChecked() {}

  get checked() { return this.control ? this.control.checked : this.flag("checked"); }
  set checked(value) { this.control.checked = Boolean(value); if (value) this.onChecked(); }
  get value() { return this.text("value", "on"); }
  set value(value) { this.setAttribute("value", value); }
  crowdContribute(answer) { if (this.name) answer[this.name] = { ...answer[this.name], [this.value]: this.checked }; }
  crowdDraft() { return this.checked; }
  crowdRestore(value) { const before = this.checked; this.checked = value; return before !== value; }
  crowdReset() { this.checked = this.flag("checked"); }

  crowdProblem() {
    const missing = this.flag("required") && !this.checked;
    if (missing) { say(this.message, "required"); this.focus(); }
    return missing;
  }
}

class CrowdCheckbox extends CrowdToggle { build() { this.toggle("checkbox"); } }

class CrowdRadioButton extends CrowdToggle {
  build() {
    this.toggle("radio");
    // Each control is alone in its shadow root, so the arrow keys of a group are ours to provide.
    this.control.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      const group = this.#group();
      if (!step || group.length < 2) return;
      const next = group[(group.indexOf(this) + step + group.length) % group.length];
      next.checked = true;
      next.focus();
      next.control.dispatchEvent(new Event("change"));
      event.preventDefault();
    });
  }

  #group() { return [...(this.closest("crowd-radio-group")?.querySelectorAll("crowd-radio-button") ?? [])]; }
  onChecked() { for (const other of this.#group()) if (other !== this && other.control) other.control.checked = false; }
}

class CrowdRadioGroup extends CrowdElement {
  build() { this.setAttribute("role", "radiogroup"); }
}

class CrowdAlert extends CrowdElement {
  build() {
    const kind = this.text("type", "info");
    const box = make("div", { class: `alert ${kind}`, role: kind === "error" ? "alert" : "status" }, make("div", { class: "alert-text" }, make("slot")));
    if (this.flag("dismissible")) {
      const close = make("button", { type: "button", class: "alert-close", onclick: () => this.remove() }, "×");
      box.append(sayAs(close, "aria-label", "close"));
    }
    shadow(this, box);
  }
}

class CrowdInstructions extends CrowdElement {
  build() {
    const link = this.text("link-type", "link") === "link";
    const dialog = dialogOf("instructions", ...["short-summary", "detailed-instructions", "positive-example", "negative-example"].map((name) => make("slot", { name })));
    for (const part of this.children) part.slot = part.localName;
    shadow(this, make("button", { type: "button", class: link ? "button link" : "button normal", onclick: () => dialog.showModal() }, this.text("link-text", text("instructions"))), dialog);
  }
}

function dialogOf(titleKey, ...content) {
  const close = make("button", { type: "button", class: "button normal", say: "close", onclick: () => dialog.close() });
  const dialog = make("dialog", {}, make("div", { class: "dialog-head" }, make("h2", { say: titleKey }), close), make("div", { class: "dialog-body", tabindex: "0" }, ...content));
  // A click on the backdrop closes it, as people expect.
  dialog.addEventListener("click", (event) => { if (origin(event) === dialog) dialog.close(); });
  return dialog;
}
