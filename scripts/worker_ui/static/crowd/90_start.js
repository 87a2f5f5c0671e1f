// Defines the elements once the page is parsed, and talks with the portal around it.

const ELEMENTS = [
  ["crowd-button", CrowdButton], ["crowd-input", CrowdInput], ["crowd-text-area", CrowdTextArea],
  ["crowd-slider", CrowdSlider], ["crowd-checkbox", CrowdCheckbox], ["crowd-radio-button", CrowdRadioButton],
  ["crowd-radio-group", CrowdRadioGroup], ["crowd-alert", CrowdAlert], ["crowd-instructions", CrowdInstructions],
  ["crowd-classifier", CrowdClassifier], ["crowd-classifier-multi-select", CrowdClassifierMultiSelect],
  ["crowd-image-classifier", CrowdImageClassifier],
  ["crowd-image-classifier-multi-select", CrowdImageClassifierMultiSelect],
  ["crowd-bounding-box", CrowdBoundingBox], ["crowd-polygon", CrowdPolygon],
  ["crowd-semantic-segmentation", CrowdSemanticSegmentation],
  // The form comes last: it looks at the elements inside it.
  ["crowd-form", CrowdForm],
];

// Children are not parsed yet when an element that is defined early is connected, so nothing is defined before
// the whole page is there.
function start() {
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, pageStyles];
  for (const [name, element] of ELEMENTS) customElements.define(name, element);
  const present = new Set([...document.querySelectorAll("*")].map((node) => node.localName).filter((name) => name.startsWith("crowd-")));
  for (const name of present) {
    if (!customElements.get(name)) console.error(`<${name}> is not among the elements of this stand-in; AWS's own page may have it`);
  }
  document.dispatchEvent(new CustomEvent("all-crowd-elements-ready", { bubbles: true }));
  tellPortal({ kind: "ready" });
}

window.addEventListener("message", (event) => {
  if (event.source !== window.parent || event.data?.truthloop !== true) return;
  const message = event.data;
  const form = document.querySelector("crowd-form");
  if (message.kind === "settings") applySettings(message.settings);
  else if (message.kind === "restore") form?.restore(message.draft);
  else if (message.kind === "refused" && form) form.sending = false;
  else if (message.kind === "focus") (document.querySelector("[autofocus]") ?? document.body).focus();
});

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
