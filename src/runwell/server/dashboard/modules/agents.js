// What can be run, and a form to run it.

import { call, get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { attempt, sure } from "./keyboard.js";
import { listing, tag } from "./listing.js";
import { schemaForm } from "./schema_form.js";
import { snippets, submitting } from "./snippets.js";
import { ago, span, status } from "./words.js";

export const show = (main, context, name) => (name === undefined ? all(main, context) : one(main, context, name));

const all = (main, context) => listing(main, {
  title: "Agents",
  about: "What this server can run: functions in code, models with instructions, workflows of both.",
  load: async () => (await get("/agents", { signal: context.signal })).agents,
  columns: [
    ["Name", (agent) => h("a", { href: `/ui/agents/${encodeURIComponent(agent.name)}` }, agent.name)],
    ["Kind", (agent) => [tag(agent.kind.replace("python", "code"), "kind"), agent.default ? [" ", tag("default")] : null]],
    ["What it does", (agent) => agent.description, "what"],
    ["Model", (agent) => agent.model ?? "–", "wide"],
    ["Timeout", (agent) => (agent.timeout ? span(agent.timeout) : "none"), "number wide"],
  ],
  empty: [h("h2", "No agent is served"), h("p", "Write one in ten lines and serve it:"), h("pre", { tabIndex: 0 }, "runwell serve my_agents.py")],
});

async function one(main, context, name) {
  const [agent, { runs }] = await Promise.all([`/agents/${encodeURIComponent(name)}`, `/runs?limit=5&output=false&agent=${encodeURIComponent(name)}`]
    .map((path) => get(path, { signal: context.signal })));
  context.title(agent.name);
  const again = new URLSearchParams(location.search).get("thread_id");
  const form = schemaForm(agent.input_schema, { label: "Input" });
  const read = () => {
    try {
      return form.read();
    } catch {
      return null;
    }
  };
  const code = snippets(() => submitting(agent.name, read(), context.via));
  const fault = h("p.fault", { role: "alert", hidden: true });
  const start = h("form.card.start", { "aria-label": `Start a run of ${agent.name}`, oninput: () => code.draw(), onclick: () => code.draw(), onsubmit: (event) => {
    event.preventDefault();
    submit(agent, form, fault, again, context);
  } }, h("h2", "Start a run"), form.element, fault, h("p.buttons", h("button.primary", { type: "submit" }, "Start")));
  const recent = h("section.recent", { "aria-label": "Latest runs" });
  fill(main, h("div.view.agent", h("nav.crumbs", { "aria-label": "Where this is" }, h("a", { href: "/ui/agents" }, "Agents")),
    h("div.head", h("h1", agent.name), tag(agent.kind.replace("python", "code"), "kind"), agent.default ? tag("default") : null,
      agent.owner && context.may("agents:write") ? h("button.quiet", { type: "button", onclick: () => remove(agent, context) }, "Delete …") : null),
    agent.description ? h("p.lead", agent.description) : null, facts(agent),
    h("div.columns", context.may("runs:write") ? start : null, h("div", h("h2", "The same call elsewhere"), code.element, recent)),
    agent.steps ? steps(agent.steps) : null,
    h("details", h("summary", "Input schema"), h("pre", { tabIndex: 0 }, JSON.stringify(agent.input_schema, null, 2))),
    agent.output_schema ? h("details", h("summary", "Output schema"), h("pre", { tabIndex: 0 }, JSON.stringify(agent.output_schema, null, 2))) : null));
  if (runs.length) fill(recent, h("h2", "Latest runs"), h("ul.plain", runs.map((run) => h("li", { data: { row: "" } }, status(run.status), " ", h("a", { href: `/ui/runs/${run.id}` }, run.id.slice(-8)), " ", ago(run.created_at)))),
    h("p", h("a", { href: `/ui/?agent=${encodeURIComponent(agent.name)}` }, "All runs of this agent")));
}

function submit(agent, form, fault, thread, context) {
  fault.hidden = true;
  let input;
  try {
    input = form.read();
  } catch (error) {
    fault.hidden = false;
    fault.textContent = error.message;
    error.control?.focus();
    return;
  }
  // A double click is one run.
  const headers = { "idempotency-key": crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
  const body = { agent: agent.name, input: input ?? null, ...(thread ? { thread_id: thread } : {}) };
  attempt(async () => {
    const run = await post("/runs", body, { headers });
    context.go(`/ui/runs/${run.id}`);
  });
}

function facts(agent) {
  const lines = [
    agent.model ? ["Model", agent.model] : null,
    ["Retries", String(agent.retries)],
    ["Timeout", agent.timeout ? span(agent.timeout) : "none"],
    ["At once", agent.concurrency ? String(agent.concurrency) : "as many as there are places"],
    agent.owner ? ["Made by", agent.owner] : ["Comes from", "code, everybody's"],
  ].filter(Boolean);
  return h("dl.facts", lines.map(([name, value]) => h("div", h("dt", name), h("dd", value))));
}

function steps(all) {
  return h("section", h("h2", "Steps"), h("ol.steps", all.map((step) => h("li", h("strong", step.name), " ", h("small", step.agent ? `by ${step.agent}` : step.model ?? "the workflow's model"),
    step.depends_on.length ? h("small", `, after ${step.depends_on.join(", ")}`) : null, step.prompt ? h("pre", { tabIndex: 0 }, step.prompt) : null))));
}

async function remove(agent, context) {
  if (await sure(`Delete ${agent.name}?`, "Its runs stay.", "Keep it", "Delete")) await attempt(async () => {
    await call("DELETE", `/agents/${encodeURIComponent(agent.name)}`);
    context.go("/ui/agents");
  }, "Deleted.");
}
