// The run list: as it is now, filtered by what stands in the URL.

import { get, poll, Problem } from "./api.js";
import { fill, h, keep, say } from "./dom.js";
import { filters, wanted } from "./filters.js";
import { selection } from "./bulk.js";
import { overview } from "./overview.js";
import { ago, count, money, short, span, status, took, what } from "./words.js";

const ROWS = 50; // as the server's first page
const MOST = 100; // of one request
const QUICK = 250; // ms; while something moves
const CALM = 1_000;

export async function show(main, context) {
  const query = wanted(location.search);
  const list = { runs: [], next: null, changed: 0, wanted: ROWS };
  const body = h("tbody");
  const more = h("button", { type: "button", hidden: true, onclick: () => older(list, refresh, more) }, "Show older runs");
  const empty = h("div.empty", { hidden: true });
  const live = h("span.live", { title: "New runs and changes appear by themselves" }, "live");
  const picked = selection(context, query, () => refresh());
  const draw = () => {
    keep(body, list.runs, (run) => run.id, (run) => row(run, picked, context), update);
    picked.offer(list.runs);
    more.hidden = !list.next;
    empty.hidden = list.runs.length > 0;
    if (!empty.hidden && !empty.firstChild) nothing(empty, query);
  };
  const refresh = async () => {
    // All that is shown is asked for again, page by page: what is further down changes too.
    const runs = [];
    let next = null;
    do {
      const limit = Math.min(list.wanted - runs.length, MOST);
      const page = await get(`/runs?${params(query, limit, next)}`, { signal: context.signal });
      runs.push(...page.runs);
      next = page.next_cursor;
    } while (next && runs.length < list.wanted);
    take(list, runs, next);
    draw();
  };
  const statistics = overview(context, query);
  fill(main, h("div.view.runs",
    h("div.head", h("h1", "Runs"), live, h("a.button.primary", { href: "/ui/agents" }, "Start a run")),
    statistics.element, filters(query, context), picked.bar,
    table(body, picked), empty, more));
  if (context.first?.runs) {
    take(list, context.first.runs, context.first.next_cursor);
    draw();
  } else if (context.first) {
    throw new Problem(context.first.status, context.first.code, context.first.detail, context.first.hint);
  }
  context.keys({
    x: { does: "select the run", run: () => document.activeElement.closest("tr")?.querySelector("input")?.click() },
    o: { does: "show older runs", run: () => !more.hidden && more.click() },
  });
  statistics.start();
  tick(context.signal, body, list);
  await poll(context.signal, async () => {
    const asked = performance.now();
    const before = list.changed;
    await refresh();
    if (list.changed !== before) list.movedAt = Date.now();
    // A twentieth of one core at most, however slow the answers are.
    const moving = Date.now() - (list.movedAt ?? 0) < 10_000;
    return Math.max(moving ? QUICK : CALM, 20 * (performance.now() - asked));
  });
}

function params(query, limit, cursor) {
  const asked = new URLSearchParams(query);
  asked.set("limit", limit);
  if (cursor) asked.set("cursor", cursor);
  return asked;
}

/** The runs that are shown from now on, and where the older ones begin. */
function take(list, runs, next) {
  const shown = new Map(list.runs.map((run) => [run.id, run]));
  for (const run of runs) {
    const known = shown.get(run.id);
    if (!known || JSON.stringify(known) !== JSON.stringify(run)) list.changed++;
  }
  if (runs.length < list.runs.length) list.changed++;
  list.runs = runs;
  list.next = next;
}

async function older(list, refresh, button) {
  button.disabled = true;
  list.wanted += ROWS;
  try {
    await refresh();
  } finally {
    button.disabled = false;
  }
}

function table(body, picked) {
  return h("table.rows", h("caption.unseen", "Runs, newest first"),
    h("thead", h("tr", h("th.pick", { scope: "col" }, picked.all), ...[
      ["Status"], ["Agent"], ["What"], ["Tokens", "number wide"], ["Cost", "number wide"], ["Took", "number"], ["Created", "number"],
    ].map(([name, kind]) => h("th", { scope: "col", class: kind ?? "" }, name)))), body);
}

function row(run, picked, context) {
  // Others' runs are counted and listed for administrators; what is in them is their owners' alone.
  const own = !run.owner || run.owner === context.owner;
  const name = [run.agent, " ", h("span.id", short(run.id), own ? "" : ` of ${run.owner}`)];
  return h("tr", { data: { id: run.id, row: "" } },
    h("td.pick", picked.box(run, own)), h("td.state"),
    h("td.agent", own ? h("a", { href: `/ui/runs/${run.id}` }, name) : name),
    h("td.what"), h("td.number.wide"), h("td.number.wide"), h("td.number"), h("td.number", ago(run.created_at)));
}

function update(element, run) {
  const drawn = element.drawn;
  element.drawn = run;
  if (drawn === run) return;
  const [, state, , told, tokens, cost, lasted] = element.children;
  const key = `${run.status} ${run.reason}`;
  if (state.dataset.key !== key) {
    if (state.dataset.key) element.classList.add("changed");
    state.dataset.key = key;
    fill(state, status(run.status, run.reason));
    element.dataset.status = run.status;
  }
  const percent = run.status === "running" ? run.progress?.percent : null;
  if (!told.firstChild) told.append(h("span"));
  say(told.firstChild, what(run));
  if (percent === null || percent === undefined) told.querySelector("progress")?.remove();
  else (told.querySelector("progress") ?? told.appendChild(h("progress", { max: 100, "aria-label": "Progress" }))).value = percent;
  const used = run.usage.input_tokens + run.usage.output_tokens;
  say(tokens, used ? count(used) : "–");
  say(cost, money(run.usage.cost));
  const seconds = took(run);
  say(lasted, seconds === null ? "–" : span(seconds));
}

/** What grows while nothing is told: how long running runs have been at it. */
function tick(signal, body, list) {
  const timer = setInterval(() => {
    for (const run of list.runs) {
      if (run.status !== "running") continue;
      const cell = body.known?.get(run.id)?.children[6];
      if (cell) say(cell, span(Math.floor(took(run))).replace(".00", ""));
    }
  }, 1_000);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function nothing(place, query) {
  if ([...query].length) {
    return fill(place, h("h2", "No run is like that"), h("p", "Nothing fits these filters. New runs that do will appear here."),
      h("p", h("a.button", { href: "/ui/" }, "Show all runs")));
  }
  fill(place, h("h2", "No runs yet"), h("p", "A run is one execution of an agent. Start the first one from a form, or from a shell:"),
    h("pre", { tabIndex: 0 }, `runwell run submit summarize "Some long text"`),
    h("p", h("a.button.primary", { href: "/ui/agents" }, "Choose an agent")));
}
