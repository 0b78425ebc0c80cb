// The same request for a shell, for Python and for JavaScript.

import { h } from "./dom.js";
import { notice } from "./keyboard.js";

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Python's spelling of a JSON value. */
export function python(value, indent = "") {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  if (Array.isArray(value)) return value.length ? `[${value.map((each) => python(each, indent)).join(", ")}]` : "[]";
  const pairs = Object.entries(value).map(([key, each]) => `${inner}${JSON.stringify(key)}: ${python(each, inner)},`);
  return pairs.length ? `{\n${pairs.join("\n")}\n${indent}}` : "{}";
}

/** Where another program reaches this server, and with what. */
const origin = () => location.origin;
const key = (via) => via !== "local";

export function submitting(agent, input, via) {
  const body = JSON.stringify({ agent, input });
  return {
    curl: [`curl ${origin()}/runs \\`, ...(key(via) ? [`  -H "Authorization: Bearer $RUNWELL_API_KEY" \\`] : []),
      `  -H 'Content-Type: application/json' \\`, `  -d ${quoted(body)}`].join("\n"),
    Python: [...(key(via) ? ["import os", ""] : []), "from runwell.client import Client", "",
      `with Client(${JSON.stringify(origin())}${key(via) ? `, os.environ["RUNWELL_API_KEY"]` : ""}) as client:`,
      `    run = client.runs.create(${JSON.stringify(agent)}, ${python(input, "    ")})`,
      "    for event in client.runs.events(run.id):", "        print(event.seq, event.type)"].join("\n"),
    JavaScript: [`const answer = await fetch(${JSON.stringify(`${origin()}/runs`)}, {`, `  method: "POST",`,
      `  headers: { "Content-Type": "application/json"${key(via) ? ", Authorization: `Bearer ${process.env.RUNWELL_API_KEY}`" : ""} },`,
      `  body: JSON.stringify(${JSON.stringify({ agent, input }, null, 2).replaceAll("\n", "\n  ")}),`, "});", "const run = await answer.json();"].join("\n"),
  };
}

/** Code to be copied, a language at a time. `texts()` is asked when it is shown. */
export function snippets(texts, label = "The same call elsewhere") {
  const code = h("code");
  const names = Object.keys(texts());
  const state = { name: names[0] };
  const tabs = names.map((name) => h("button", { type: "button", "aria-pressed": String(name === state.name), onclick: () => {
    state.name = name;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === name));
    draw();
  } }, name));
  const draw = () => (code.textContent = texts()[state.name]);
  draw();
  const element = h("section.snippets", { "aria-label": label }, h("div.head", h("div.tabs", { role: "group", "aria-label": "Language" }, tabs),
    h("button", { type: "button", onclick: () => copy(texts()[state.name]) }, "Copy")), h("pre", { tabIndex: 0 }, code));
  return { element, draw };
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.");
  } catch {
    // Without TLS, or when it is forbidden, a page may not write there: let the reader do it.
    const field = h("textarea", { value: text, class: "unseen", "aria-hidden": "true" });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    notice(done ? "Copied." : "This browser does not let the page copy. Mark the text and copy it.", done ? "" : "bad");
  }
}
