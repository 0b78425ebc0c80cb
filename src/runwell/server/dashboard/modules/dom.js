// Elements from text. There is no way from here to markup: children are nodes or become text.

const SVG = "http://www.w3.org/2000/svg";

/** `h("div.card", { onclick, hidden: true, data: { id } }, "text", node, [more])` */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  if (props && (props instanceof Node || typeof props !== "object" || Array.isArray(props))) {
    children.unshift(props);
  } else {
    for (const [key, value] of Object.entries(props ?? {})) set(element, key, value);
  }
  put(element, children);
  return element;
}

const MARKUP = /HTML$|^srcdoc$/;

function set(element, key, value) {
  if (value === undefined || value === null) return;
  if (MARKUP.test(key)) throw new TypeError(`${key} is no way to make an element`);
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
  else if (key === "data") Object.assign(element.dataset, value);
  else if (key === "style") for (const [name, each] of Object.entries(value)) element.style.setProperty(name, each);
  else if (key in element && key !== "list" && key !== "form" && !key.startsWith("aria")) element[key] = value;
  else if (value !== false || key.startsWith("aria")) element.setAttribute(key, value === true && !key.startsWith("aria") ? "" : value);
}

function put(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) put(element, child);
    else element.append(child);
  }
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** What was in the element is replaced. */
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, children);
  return element;
}

/** Write text only where it differs: a screen reader hears changes, and a selection stays. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make the children be one element per item, in order: elements are kept by key, moved, made, removed. */
export function keep(parent, items, keyOf, make, update) {
  const known = parent.known ?? (parent.known = new Map());
  const seen = new Set();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    seen.add(key);
    let element = known.get(key);
    if (!element) known.set(key, (element = make(item)));
    update?.(element, item);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of known) {
    if (!seen.has(key)) {
      element.remove();
      known.delete(key);
    }
  }
}

/** Below its heading a view is shown when what it begins with is there, or after a moment without: nothing moves
 * away under the eyes. */
export function whenThere(view, ...promises) {
  view.classList.add("pending");
  const show = () => view.classList.remove("pending");
  setTimeout(show, 600);
  Promise.allSettled(promises).then(show);
}

let numbers = 0;
/** An id for a label and what it names. */
export const fresh = (word) => `${word}-${++numbers}`;

/** A labelled control: a label above, what it is for below. */
export function field(label, control, hint) {
  control.id ||= fresh("field");
  const note = hint ? h("small.hint", { id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div.field", h("label", { htmlFor: control.id }, label), control, note);
}

/** Once in a frame, however often it is asked for. */
export function eachFrame(work) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    // A hidden page has no frames; it is drawn when it is seen again.
    requestAnimationFrame(() => {
      due = false;
      work();
    });
  };
}
