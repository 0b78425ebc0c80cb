// A page about one kind of thing: what it is, a table of them, and a form to make one.

import { get, Problem } from "./api.js";
import { fill, h } from "./dom.js";

/** `columns`: [heading, cell(thing), kind]. `load()` gives the things; `empty` is what to say without any. What is
 * returned loads and draws them again; null when this server does not have such things. */
export async function listing(main, { title, about, columns, load, empty, above, label }) {
  const place = h("div");
  const reload = async () => {
    const things = await load();
    fill(place, things.length ? table(things, columns, label ?? title) : h("div.empty", empty));
    return things;
  };
  fill(main, h("div.view", h("div.head", h("h1", title)), about ? h("p.lead", about) : null, above ?? null, place));
  try {
    await reload();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    fill(place, h("div.empty", h("h2", `This server has no ${title.toLowerCase()}`), h("p", "A newer version may.")));
    return null;
  }
  return reload;
}

export function table(things, columns, label) {
  const shown = columns.filter(Boolean);
  return h("div.scroll", { tabIndex: 0, role: "region", "aria-label": label }, h("table.rows.things", { class: shown.filter(([, , kind]) => !/wide/.test(kind)).length > 4 ? "stack" : "" }, h("caption.unseen", label),
    h("thead", h("tr", shown.map(([heading, , kind]) => h("th", { scope: "col", class: kind ?? "" }, heading || h("span.unseen", "Actions"))))),
    h("tbody", things.map((thing) => h("tr", { data: { row: "" } }, shown.map(([heading, cell, kind]) => h("td", { class: kind ?? "", data: { of: heading } }, cell(thing))))))));
}

/** The agents' names, for a field that wants one. */
export async function agentChoice(signal) {
  const { agents } = await get("/agents", { signal });
  return h("select", { name: "agent" }, agents.filter((agent) => agent.kind !== "tool").map((agent) => h("option", { value: agent.name, selected: agent.default }, agent.name)));
}

/** A secret that is shown this once. */
export function secret(title, text, note, copy) {
  return h("section.card.secret", { role: "alert" }, h("h2", title), h("pre", { tabIndex: 0 }, text), h("p.hint", note),
    h("p.buttons", h("button", { type: "button", onclick: () => copy(text) }, "Copy")));
}

export const tag = (word, kind = word) => h("span.tag", { class: String(kind) }, word.replaceAll("_", " "));
