// The run list: as it is now, filtered by what stands in the URL.

import { get, Problem } from "./api.js";
import { fill, h, keep, say } from "./dom.js";
import { filters, wanted } from "./filters.js";
import { keepFresh } from "./fresh.js";
import { selection } from "./bulk.js";
import { attempt } from "./keyboard.js";
import { overview, whose } from "./overview.js";
import { ago, count, money, short, span, status, took, what } from "./words.js";

const ROWS = 50; // as the server's first page
const MOST = 100; // of one request

export async function show(main, context) {
  const query = wanted(location.search);
  const list = { runs: [], next: null, wanted: ROWS, turn: 0 };
  const body = h("tbody");
  const more = h("button", { type: "button", hidden: true, onclick: () => older(list, refresh, more, fresh) }, "Show older runs");
  const empty = h("div.empty", { hidden: true });
  const live = h("span.live", { title: "New runs and changes appear by themselves" }, "live");
  const picked = selection(context, query, () => fresh.ring());
  const draw = () => {
    keep(body, list.runs, (run) => run.id, (run) => row(run, picked, context), update);
    picked.offer(list.runs);
    more.hidden = !list.next;
    empty.hidden = list.runs.length > 0;
    if (!empty.hidden && empty.dataset.of !== String(!query.size)) nothing(empty, query);
  };
  const refresh = async () => {
    // All that is shown is asked for again, page by page: what is further down changes too.
    const runs = [];
    const turn = ++list.turn;
    let next = null;
    do {
      const limit = Math.min(list.wanted - runs.length, MOST);
      const page = await get(`/runs?${params(query, limit, next)}`, { signal: context.signal });
      // Something else is wanted by now.
      if (turn !== list.turn) return;
      runs.push(...page.runs);
      next = page.next_cursor;
    } while (next && runs.length < list.wanted);
    Object.assign(list, { runs, next });
    draw();
  };
  const statistics = overview(context, query);
  const bar = filters(query, context, () => {
    list.wanted = ROWS;
    list.turn++;
    picked.clear();
    statistics.ask();
    fresh.ring();
  });
  fill(main, h("div.view.runs",
    h("div.head", h("h1", "Runs"), live, h("a.button.primary", { href: "/ui/agents" }, "Start a run")),
    statistics.element, bar, picked.bar, table(body, picked), empty, more));
  if (context.first?.runs) {
    Object.assign(list, { runs: context.first.runs, next: context.first.next_cursor });
    draw();
  } else if (context.first) {
    throw new Problem(context.first.status, context.first.code, context.first.detail, context.first.hint);
  }
  context.keys({
    x: { does: "select the run", run: () => document.activeElement.closest("tr")?.querySelector("input")?.click() },
    o: { does: "show older runs", run: () => !more.hidden && more.click() },
  });
  statistics.start();
  const fresh = keepFresh(context.signal, refresh, () => whose(query));
  tick(context.signal, body, list);
  await fresh.done;
}

function params(query, limit, cursor) {
  const asked = new URLSearchParams(query);
  asked.set("limit", limit);
  asked.set("output", "false");
  if (cursor) asked.set("cursor", cursor);
  return asked;
}

async function older(list, refresh, button, fresh) {
  button.disabled = true;
  list.wanted += ROWS;
  if (!(await attempt(refresh))) {
    list.wanted -= ROWS;
    fresh.ring();
  }
  button.disabled = false;
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
  place.dataset.of = String(!query.size);
  if (query.size) {
    return fill(place, h("h2", "No run is like that"), h("p", "Nothing fits these filters. New runs that do will appear here."),
      h("p", h("a.button", { href: "/ui/" }, "Show all runs")));
  }
  fill(place, h("h2", "No runs yet"), h("p", "A run is one execution of an agent. Start the first one from a form, or from a shell:"),
    h("pre", { tabIndex: 0 }, `runwell run submit summarize "Some long text"`),
    h("p", h("a.button.primary", { href: "/ui/agents" }, "Choose an agent")));
}
