// Keys: j and k through whatever is listed, g and a letter to a view, and what the view itself adds.

import { h } from "./dom.js";

const ALWAYS = [
  ["j, k", "next and previous row"],
  ["Enter", "open it"],
  ["/", "search"],
  ["g, then r a t s c w k u", "runs, agents, threads, schedules, callbacks, workers, keys, users"],
  ["Esc", "leave a field, close a panel"],
  ["?", "this list"],
];

function single() {
  try {
    return localStorage.getItem("runwell-keys") !== "off";
  } catch {
    return true;
  }
}

/** `keys()` are the view's own: letter to `{ does, run }`. */
export function startKeys({ go, keys }) {
  let going = 0;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
    if (event.key === "Escape" && typing && !event.target.closest("dialog")) return event.target.blur();
    if (typing || !single()) return;
    if (going && Date.now() - going < 1_500) {
      going = 0;
      const link = document.querySelector(`#nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) return done(event, () => go(link.href));
    }
    if (event.key === "g") going = Date.now();
    else if (event.key === "?") done(event, () => list(keys()));
    else if (event.key === "/") {
      const field = document.querySelector("[data-search]");
      if (field) done(event, () => field.focus());
    } else if (event.key === "j" || event.key === "k") done(event, () => move(event.key === "j" ? 1 : -1));
    else if (keys()[event.key]) done(event, keys()[event.key].run);
  });
  document.querySelector("[data-do=keys]").addEventListener("click", () => list(keys()));
}

function done(event, work) {
  event.preventDefault();
  work();
}

function move(by) {
  const rows = [...document.querySelectorAll("main [data-row]")].filter((row) => row.offsetParent);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
  (row.querySelector("a, button") ?? row.querySelector("input:enabled"))?.focus();
  row.scrollIntoView({ block: "nearest" });
}

function list(own) {
  const lines = [...ALWAYS, ...Object.entries(own).map(([key, { does }]) => [key, does])];
  const box = h("input", { type: "checkbox", id: "single-keys", checked: single(), onchange: () => {
    try {
      localStorage.setItem("runwell-keys", box.checked ? "on" : "off");
    } catch (error) {
      console.info("The choice is not kept:", error.message);
    }
  } });
  modal("Shortcuts", [
    h("dl.shortcuts", lines.map(([key, does]) => [h("dt", h("kbd", key)), h("dd", does)])),
    h("p", box, " ", h("label", { htmlFor: "single-keys" }, "Use keys without Ctrl or Alt")),
  ]);
}

/** A dialog with a title; resolves with the value of the button that closed it, "" for Esc. */
export function modal(title, content, buttons = [["", "Close"]]) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), content,
      h("p.buttons", buttons.map(([value, label, kind]) => h(`button${kind ? `.${kind}` : ""}`, { value }, label)))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
    // A dialog opens on its way out, whatever stands before that in it.
    dialog.querySelector("button").focus();
  });
}

/** Ask before it is done; the focus is on leaving it. */
export const sure = async (title, text, leave, go, kind = "danger") =>
  (await modal(title, h("p", text), [["", leave], ["yes", go, kind]])) === "yes";

/** For whoever does not see it. */
export const aloud = (text) => (document.getElementById("said").textContent = text);

/** Say something short, aloud and on the screen. */
export function notice(text, kind = "") {
  aloud(text);
  const note = h("p.notice", { class: kind }, text);
  document.getElementById("alerts").append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 12_000 : 5_000);
}

/** Do it; a refusal is told. True when it was done. */
export async function attempt(work, done) {
  try {
    const result = await work();
    if (done) notice(typeof done === "function" ? done(result) : done);
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    notice(`${error.message} ${error.hint ?? ""}`.trim(), "bad");
    return false;
  }
}
