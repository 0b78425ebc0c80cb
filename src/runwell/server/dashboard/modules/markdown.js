// The one place where text becomes markup: Markdown, read by marked and cleaned by DOMPurify. HTML in it stays
// text. What comes out has no scripts, no styles, no forms, no ids, and no pictures from elsewhere.

import { h } from "./dom.js";

const loaded = { reader: null, cleaner: null, level: 4 };
const RULES = {
  ALLOWED_TAGS: [
    "p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img", "h1", "h2", "h3",
    "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "input", "sup", "sub", "kbd",
  ],
  ALLOWED_ATTR: ["href", "title", "src", "alt", "align", "type", "checked", "disabled", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|gif|jpeg|webp);base64,)/i,
  ADD_URI_SAFE_ATTR: ["align", "type", "checked", "disabled", "start"],
  ALLOW_DATA_ATTR: false,
  RETURN_TRUSTED_TYPE: Boolean(globalThis.trustedTypes),
};
const PICTURE = /^data:image\/(?:png|gif|jpeg|webp);base64,/i;
const LARGEST = 100_000;
// Reading one paragraph takes a time that grows with the square of its length, for some texts.
const LONGEST = 10_000;

/** Before the first `markdown`: views without it need not wait for it. */
export async function loadMarkdown() {
  if (loaded.reader) return;
  const [{ Marked }] = await Promise.all([import("./vendor/marked.js"), import("./vendor/purify.js")]);
  if (loaded.reader) return;
  loaded.cleaner = globalThis.DOMPurify;
  loaded.cleaner.addHook("afterSanitizeAttributes", tame);
  loaded.reader = new Marked({ gfm: true, breaks: true, async: false, renderer: { html } });
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** HTML that stands in the text is shown as it was written. Cleaning it would be possible, but browsers report
 * what the policy forbids already while it is read, and such a report should mean something. */
function html({ text, block }) {
  if (/^<br\s*\/?>\s*$/i.test(text)) return "<br>";
  const shown = text.replace(/[&<>"']/g, (letter) => ESCAPES[letter]);
  return block ? `<p>${shown}</p>` : shown;
}

function tame(node) {
  if (node.nodeName === "A") {
    if (!/^(?:https?:|mailto:)/i.test(node.getAttribute("href") ?? "")) node.removeAttribute("href");
    node.setAttribute("rel", "noopener noreferrer nofollow");
    node.setAttribute("target", "_blank");
  } else if (node.nodeName === "IMG") {
    // Loading a picture tells whoever has it that, and when, this run was read.
    if (!PICTURE.test(node.getAttribute("src") ?? "")) {
      const link = document.createElement("span");
      link.textContent = `[picture: ${node.getAttribute("alt") || node.getAttribute("src") || "without a name"}]`;
      node.replaceWith(link);
    }
  } else if (node.nodeName === "INPUT") {
    if (node.getAttribute("type") !== "checkbox") node.remove();
    else node.setAttribute("disabled", "");
  } else if (/^H[1-6]$/.test(node.nodeName)) {
    node.setAttribute("role", "heading");
    // Below the heading it stands under; which of its own come first is anybody's guess while it grows.
    node.setAttribute("aria-level", String(loaded.level));
  } else if (node.nodeName === "PRE" || node.nodeName === "TABLE") {
    node.setAttribute("tabindex", "0");
  }
}

/** An element with the text as Markdown; as it is when it is too long to be read as such. */
export function markdown(text, level = 4) {
  loaded.level = level;
  const plain = () => h("div.prose", h("pre", { tabIndex: 0 }, text));
  if (text.length > LARGEST || text.split("\n").some((line) => line.length > LONGEST)) return plain();
  const element = h("div.prose");
  try {
    element.innerHTML = loaded.cleaner.sanitize(loaded.reader.parse(text), RULES);
  } catch {
    // Nested deeper than the reader can follow: what an agent says must not take the page away.
    return plain();
  }
  return element;
}

/** Markdown that grows. Finished paragraphs are drawn once; only the last one is drawn again. */
export class Growing {
  constructor() {
    this.element = h("div.growing");
    Object.assign(this, { done: 0, drawn: "", tail: null, wanted: "", cost: 0, at: 0, timer: 0 });
  }

  /** A paragraph without an end is drawn less often the longer that takes: a tenth of the time at most. */
  show(text) {
    this.wanted = text;
    if (this.timer) return;
    const wait = this.at + 10 * this.cost - performance.now();
    if (wait <= 0) return this.draw();
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.draw();
    }, wait);
  }

  draw() {
    this.at = performance.now();
    this.render(this.wanted);
    this.cost = performance.now() - this.at;
  }

  render(text) {
    if (text === this.drawn) return;
    if (!text.startsWith(this.drawn)) {
      this.element.replaceChildren();
      Object.assign(this, { done: 0, tail: null });
    }
    this.drawn = text;
    const end = settled(text, this.done);
    if (end > this.done) {
      this.tail?.remove();
      this.tail = null;
      this.element.append(markdown(text.slice(this.done, end)));
      this.done = end;
    }
    const tail = text.length > this.done ? markdown(text.slice(this.done)) : null;
    if (this.tail && tail) this.tail.replaceWith(tail);
    else if (tail) this.element.append(tail);
    else this.tail?.remove();
    this.tail = tail;
  }
}

/** Where the last paragraph begins: after a blank line that is not inside a fence or a list. */
function settled(text, from) {
  let end = from;
  let fence = null;
  let at = from;
  let blank = false;
  while (at < text.length) {
    const stop = text.indexOf("\n", at);
    if (stop < 0) break;
    const line = text.slice(at, stop);
    const mark = /^ {0,3}(```+|~~~+)/.exec(line)?.[1];
    if (mark && !fence) fence = mark;
    else if (fence && line.trim().startsWith(fence) && line.trim().replaceAll(fence[0], "") === "") fence = null;
    if (!fence && blank && line && !/^(?:\s|[-*+] |\d+[.)] |\|)/.test(line)) end = at;
    blank = !line.trim();
    at = stop + 1;
  }
  return end;
}
