// What every element uses: texts in two languages, relaxed JSON, small helpers for the DOM, keys, and the words
// that the page exchanges with the portal around it.

const TEXTS = {
  en: {
    submit: "Submit", close: "Close", cancel: "Cancel", instructions: "Instructions",
    fullInstructions: "Full instructions", keys: "Keyboard", keysTitle: "Keys on this page", labels: "Labels",
    chooseOne: "Choose one", chooseAny: "Choose all that apply", comment: "Add a comment", commentHeader: "Comment",
    chooseFirst: "Choose a label first.",
    noneChosen: "No label is chosen. Submit again if none applies.",
    noneDrawn: "Nothing is marked. Submit again if there is nothing to label.",
    shapeOpen: "A polygon is not closed: press Enter to close it or Esc to drop it.",
    required: "Please fill this in.", tooShort: "At least {0} characters.", tooLong: "At most {0} characters.",
    notAllowed: "This does not have the expected form.",
    imageLoading: "Loading the image …", maskLoading: "Loading the suggested mask …",
    imageFailed: "The image could not be loaded. Reload the page; if that doesn't help, skip this task.",
    maskFailed: "The suggested mask could not be loaded; you start with an empty one.",
    undo: "Undo", redo: "Redo", zoomIn: "Zoom in", zoomOut: "Zoom out", zoomFit: "Fit", brightness: "Brightness",
    opacity: "Opacity", hideMask: "Hide mask", boxes: "Boxes", polygons: "Polygons",
    duplicate: "Copy", remove: "Delete", nothingYet: "Nothing drawn yet. Drag on the image to draw.",
    noPolygonYet: "Nothing drawn yet. Click on the image to set points.",
    brush: "Brush", polygon: "Polygon", eraser: "Eraser", fill: "Fill", brushSize: "Size",
    keepPainted: "Keep what is painted", draft: "Draft restored", sent: "The answer was sent.",
    canvas: "Image to label", mask: "Mask", points: "{0} points", boxSize: "{0} × {1}",
    keyChoose: "choose a label", keyChooseNext: "previous, next label", keySubmit: "submit",
    keyUndo: "undo", keyRedo: "redo", keyZoom: "zoom in, out, fit", keyWheel: "zoom at the pointer", wheel: "wheel",
    keyPan: "move the image", spaceDrag: "Space + drag", keyDraw: "draw a box", drag: "drag",
    keyDrawOver: "draw inside a chosen box", shiftDrag: "Shift + drag", keyNewBox: "new box in the middle",
    keyNudge: "move the box (Shift: by 10)", keyResize: "resize the box", altArrows: "Alt + arrows",
    keyCycle: "next box", keyDuplicate: "copy the box", keyRemove: "delete", keyLeave: "leave a text field, drop the selection",
    keyPoint: "set a point", click: "click", keyClose: "close the polygon", doubleClick: "double click",
    keyBackPoint: "take back the last point", keyTools: "brush, polygon, eraser, fill", keySize: "smaller, larger brush",
    keyHide: "hide and show the mask", keyHideOverlay: "hide and show the overlay", keyInstructions: "instructions", keySkip: "skip the task",
    keyReturn: "return the task", keyKeep: "keep what is painted", keyComment: "write a comment",
  },
  ja: {
    submit: "送信", close: "閉じる", cancel: "キャンセル", instructions: "作業の手引き",
    fullInstructions: "詳しい手引き", keys: "キー操作", keysTitle: "この画面のキー操作", labels: "ラベル",
    chooseOne: "1つ選択", chooseAny: "当てはまるものをすべて選択", comment: "コメントを書く", commentHeader: "コメント",
    chooseFirst: "先にラベルを選んでください。",
    noneChosen: "ラベルが選ばれていません。当てはまるものがなければ、もう一度送信してください。",
    noneDrawn: "何も描かれていません。対象がなければ、もう一度送信してください。",
    shapeOpen: "閉じていない多角形があります。Enter で閉じるか、Esc で取り消してください。",
    required: "入力してください。", tooShort: "{0} 文字以上で入力してください。", tooLong: "{0} 文字以内で入力してください。",
    notAllowed: "入力の形式が正しくありません。",
    imageLoading: "画像を読み込んでいます…", maskLoading: "マスクの候補を読み込んでいます…",
    imageFailed: "画像を読み込めませんでした。再読み込みしても表示されないときは、このタスクをスキップしてください。",
    maskFailed: "マスクの候補を読み込めませんでした。空の状態から始めます。",
    undo: "元に戻す", redo: "やり直す", zoomIn: "拡大", zoomOut: "縮小", zoomFit: "全体表示", brightness: "明るさ",
    opacity: "不透明度", hideMask: "マスクを隠す", boxes: "ボックス", polygons: "多角形",
    duplicate: "複製", remove: "削除", nothingYet: "まだ何も描かれていません。画像の上をドラッグしてください。",
    noPolygonYet: "まだ何も描かれていません。画像をクリックして点を置いてください。",
    brush: "ブラシ", polygon: "多角形", eraser: "消しゴム", fill: "塗りつぶし", brushSize: "太さ",
    keepPainted: "塗った部分を保護", draft: "下書きを復元しました", sent: "回答を送信しました。",
    canvas: "ラベルを付ける画像", mask: "マスク", points: "{0} 点", boxSize: "{0} × {1}",
    keyChoose: "ラベルを選ぶ", keyChooseNext: "前・次のラベル", keySubmit: "送信",
    keyUndo: "元に戻す", keyRedo: "やり直す", keyZoom: "拡大・縮小・全体", keyWheel: "ポインターの位置で拡大", wheel: "ホイール",
    keyPan: "画像を動かす", spaceDrag: "Space + ドラッグ", keyDraw: "ボックスを描く", drag: "ドラッグ",
    keyDrawOver: "選択中のボックスの内側に描く", shiftDrag: "Shift + ドラッグ", keyNewBox: "中央に新しいボックス",
    keyNudge: "ボックスを動かす(Shift: 10 px)", keyResize: "ボックスの大きさを変える", altArrows: "Alt + 矢印",
    keyCycle: "次のボックス", keyDuplicate: "ボックスを複製", keyRemove: "削除", keyLeave: "入力欄を離れる・選択を解除",
    keyPoint: "点を置く", click: "クリック", keyClose: "多角形を閉じる", doubleClick: "ダブルクリック",
    keyBackPoint: "最後の点を取り消す", keyTools: "ブラシ・多角形・消しゴム・塗りつぶし", keySize: "ブラシを細く・太く",
    keyHide: "マスクの表示を切り替える", keyHideOverlay: "重ね表示を切り替える", keyInstructions: "作業の手引き", keySkip: "タスクをスキップ",
    keyReturn: "タスクを返す", keyKeep: "塗った部分を保護", keyComment: "コメントを書く",
  },
};

let language = document.documentElement.lang === "ja" ? "ja" : "en";
const spoken = new WeakMap();

function text(key, ...values) {
  return TEXTS[language][key].replace(/\{(\d)\}/g, (_, index) => values[index]);
}

// Gives a node a text, or an attribute, that follows the language.
function say(node, key, ...values) { return sayAs(node, "", key, ...values); }

function sayAs(node, attribute, key, ...values) {
  if (!spoken.has(node)) spoken.set(node, new Map());
  spoken.get(node).set(attribute, [key, values]);
  speak(node);
  return node;
}

function speak(node) {
  for (const [attribute, [key, values]] of spoken.get(node) ?? []) {
    if (attribute) node.setAttribute(attribute, text(key, ...values));
    else node.textContent = text(key, ...values);
  }
}

function speakAll(root) {
  for (const node of root.querySelectorAll("*")) {
    speak(node);
    if (node.shadowRoot) speakAll(node.shadowRoot);
  }
}

// AWS's attributes take JSON with single quotes, bare keys and trailing commas.
function relaxedJson(source) {
  let at = 0;
  const fail = (expected) => {
    throw new SyntaxError(`expected ${expected} at character ${at + 1} of ${source.slice(0, 200)}`);
  };
  const space = () => { while (at < source.length && /\s/.test(source[at])) at += 1; };
  const peek = () => { space(); return source[at]; };
  const take = (sign) => { if (peek() !== sign) fail(sign); at += 1; };
  const quoted = () => {
    const quote = source[at];
    let result = "";
    for (at += 1; source[at] !== quote; at += 1) {
      if (at >= source.length) fail(`a closing ${quote}`);
      if (source[at] !== "\\") { result += source[at]; continue; }
      at += 1;
      if (source[at] === "u") {
        if (!/^[0-9a-f]{4}$/i.test(source.slice(at + 1, at + 5))) fail("four hexadecimal digits");
        result += String.fromCharCode(parseInt(source.slice(at + 1, at + 5), 16));
        at += 4;
      } else {
        result += { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" }[source[at]] ?? source[at] ?? "";
      }
    }
    at += 1;
    return result;
  };
  const members = (close, member) => {
    at += 1;
    while (peek() !== close) {
      member();
      if (peek() !== close) take(",");
    }
    at += 1;
  };
  const value = () => {
    const sign = peek();
    if (sign === "[") {
      const list = [];
      members("]", () => list.push(value()));
      return list;
    }
    if (sign === "{") {
      const entries = [];
      members("}", () => {
        const start = peek();
        const key = start === '"' || start === "'" ? quoted() : word("a key");
        take(":");
        entries.push([key, value()]);
      });
      return Object.fromEntries(entries);
    }
    if (sign === '"' || sign === "'") return quoted();
    const bare = word("a value");
    if (bare in CONSTANTS) return CONSTANTS[bare];
    if (!Number.isFinite(Number(bare))) fail("a value");
    return Number(bare);
  };
  const CONSTANTS = { true: true, false: false, null: null };
  const word = (expected) => {
    space();
    const found = /^[^\s,:{}[\]"']+/.exec(source.slice(at, at + 300));
    if (!found) fail(expected);
    at += found[0].length;
    return found[0];
  };
  const result = value();
  if (peek() !== undefined) fail("the end");
  return result;
}

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "say") say(node, ...[value].flat());
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const ICONS = {
  undo: "M4 9h9a5 5 0 0 1 0 10H8M4 9l4-4M4 9l4 4", redo: "M20 9h-9a5 5 0 0 0 0 10h5M20 9l-4-4M20 9l-4 4",
  plus: "M12 5v14M5 12h14", minus: "M5 12h14", fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13", copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  brush: "M20 4 10.5 13.5M9 14c-3 0-3 3-5 5 3 1 7 0 7-3z", polygon: "M5 9l8-5 7 7-4 9H7z",
  eraser: "M8 20h12M5 15 14 5l6 6-8 9H9z", fill: "M11 4 4 12l7 7 8-8zM4 12h14M20 15c1 2 2 3 2 4a2 2 0 0 1-4 0c0-1 1-2 2-4",
  book: "M5 4h10a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM5 17a3 3 0 0 1 3-3h10", keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  eye: "M2 12s4-6 10-6 10 6 10 6-4 6-10 6S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 3v2M12 19v2M3 12h2M19 12h2M6 6l1 1M17 17l1 1M6 18l1-1M17 7l1-1",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const styles = new CSSStyleSheet();
styles.replaceSync(ELEMENTS_CSS);
const pageStyles = new CSSStyleSheet();
pageStyles.replaceSync(PAGE_CSS);

// A shadow root keeps a template's styles and the element's own apart; the regions stay in the page, in slots.
function shadow(element, ...children) {
  const root = element.attachShadow({ mode: "open", delegatesFocus: false });
  root.adoptedStyleSheets = [styles];
  root.append(...children);
  return root;
}

// The end of a chain of shadow roots: where the event really happened.
const origin = (event) => event.composedPath()[0];

function isTextField(node) {
  if (!(node instanceof Element)) return false;
  if (node.matches("textarea, select, [contenteditable]:not([contenteditable=false])")) return true;
  return node.matches("input") && !["checkbox", "radio", "range", "button", "submit", "color"].includes(node.type);
}

const isPressable = (node) => node instanceof Element && node.matches("button, a[href], summary, select");

// Elements that answer to keys, in the order in which they appear; the form is asked last.
const keyListeners = [];

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const target = origin(event);
  if (isTextField(target)) {
    if (event.key === "Escape") { target.blur(); event.preventDefault(); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submitByKey(event);
    return;
  }
  if (event.composedPath().some((node) => node.nodeName === "DIALOG" && node.open)) return;
  if (event.altKey && (event.code === "KeyS" || event.code === "KeyR")) {
    tellPortal({ kind: "action", action: event.code === "KeyS" ? "decline" : "return" });
    event.preventDefault();
    return;
  }
  const focused = keyListeners.filter((listener) => listener.contains(document.activeElement));
  for (const listener of focused.length ? focused : keyListeners) {
    if (listener.onCrowdKey(event, target)) { event.preventDefault(); return; }
  }
  if (event.key === "Enter" && !event.repeat && !isPressable(target)) submitByKey(event);
});

function submitByKey(event) {
  const form = document.querySelector("crowd-form");
  if (!form?.submit) return;
  event.preventDefault();
  form.submit();
}

// ---- the portal around the page ----

const inPortal = window.parent !== window;

function tellPortal(message) {
  // The page has an opaque origin and cannot know the portal's; `frame-ancestors` lets nobody else be its parent.
  if (inPortal) window.parent.postMessage({ truthloop: true, ...message }, "*");
}

function applySettings(settings) {
  if (settings.theme) document.documentElement.dataset.theme = settings.theme;
  if (settings.language && settings.language !== language) {
    language = settings.language in TEXTS ? settings.language : "en";
    document.documentElement.lang = language;
    speakAll(document);
  }
}

// ---- the base of all elements ----

class CrowdElement extends HTMLElement {
  #built = false;

  // The page defines the elements when it is parsed, so their children are there.
  connectedCallback() {
    if (this.#built) return;
    this.#built = true;
    try {
      this.build();
    } catch (error) {
      // For the template's author, who may not look at the console; it gets the error as well.
      this.after(make("p", { class: "crowd-error", role: "alert" }, error.message));
      throw error;
    }
  }

  build() {}

  text(attribute, otherwise = "") { return this.getAttribute(attribute) ?? otherwise; }

  number(attribute, otherwise) {
    const value = Number(this.getAttribute(attribute));
    return this.hasAttribute(attribute) && Number.isFinite(value) ? value : otherwise;
  }

  flag(attribute) { return this.hasAttribute(attribute) && this.getAttribute(attribute) !== "false"; }

  json(attribute, otherwise) {
    const source = this.getAttribute(attribute);
    if (source === null || source.trim() === "") return otherwise;
    try {
      return relaxedJson(source);
    } catch (error) {
      throw new SyntaxError(`<${this.localName}> ${attribute}: ${error.message}`);
    }
  }

  region(name) { return this.querySelector(`:scope > ${name}`); }

  changed() { this.dispatchEvent(new CustomEvent("crowd-change", { bubbles: true, composed: true })); }
}
