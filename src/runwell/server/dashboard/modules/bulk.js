// Many runs at once: what is selected, or all that fits the filters. The server counts before it is asked
// to do anything.

import { connection, pause, post, Problem, trouble } from "./api.js";
import { h, say } from "./dom.js";
import { modal, notice, sure } from "./keyboard.js";
import { count, FINAL, now, plural, short } from "./words.js";

const AT_ONCE = 500; // of those that are selected one by one; the server takes 1,000
const MOST = 10_000; // are counted

const ACTIONS = {
  cancel: { label: "Cancel", fits: (run) => !FINAL.has(run.status), done: "cancelled" },
  retry: { label: "Retry", fits: (run) => FINAL.has(run.status), done: "queued again" },
};

export function selection(context, query, changed) {
  const ids = new Set();
  const shown = { runs: [] };
  const text = h("span");
  const everything = h("span.buttons", Object.entries(ACTIONS).map(([action, { label }]) =>
    h("button", { type: "button", onclick: () => begin(action, { filter: asFilter(query) }) }, `${label} all that fit the filters …`)));
  const bar = h("div.bulk", { role: "region", "aria-label": "Selected runs", hidden: true }, text,
    Object.entries(ACTIONS).map(([action, { label }]) =>
      h("button", { type: "button", onclick: () => begin(action, { ids: [...ids] }) }, `${label} …`)),
    everything,
    h("button.quiet", { type: "button", onclick: () => clear() }, "Clear"));
  const all = h("input", { type: "checkbox", "aria-label": "Select all runs shown", onchange: () => {
    for (const run of shown.runs) all.checked && !boxes.get(run.id)?.disabled ? ids.add(run.id) : ids.delete(run.id);
    draw();
  } });
  const boxes = new Map();
  const draw = () => {
    for (const [id, box] of boxes) box.checked = ids.has(id);
    bar.hidden = !ids.size;
    everything.hidden = !offered(query);
    all.checked = ids.size > 0 && shown.runs.every((run) => ids.has(run.id));
    all.indeterminate = ids.size > 0 && !all.checked;
    say(text, `${plural(ids.size, "run")} selected`);
  };
  const clear = () => {
    ids.clear();
    if (bar.contains(document.activeElement)) all.focus();
    draw();
  };
  const begin = async (action, which) => {
    if (bar.ariaBusy === "true") return;
    bar.ariaBusy = "true";
    const done = await act(action, which);
    bar.ariaBusy = "false";
    if (!done) return;
    clear();
    changed();
  };
  return {
    bar,
    all,
    clear,
    /** The runs that are listed now. */
    offer(runs) {
      shown.runs = runs;
      if (boxes.size > runs.length) {
        // What is not listed any more has no box; it stays selected, and counted.
        const listed = new Set(runs.map((run) => run.id));
        for (const id of boxes.keys()) if (!listed.has(id)) boxes.delete(id);
      }
      if (ids.size) draw();
    },
    box(run, own) {
      const box = h("input", { type: "checkbox", disabled: !own, "aria-label": `Select run ${short(run.id)} of ${run.agent}`, onchange: () => {
        box.checked ? ids.add(run.id) : ids.delete(run.id);
        draw();
      } });
      boxes.set(run.id, box);
      return box;
    },
  };
}

/** Whether all that fits the filters can be acted on: others' runs are theirs. */
const offered = (query) => query.size > 0 && !query.has("owner") && !query.has("all_owners");

/** The filters of the URL as the API's `filter`, and nothing that comes from now on. */
function asFilter(query) {
  const filter = Object.fromEntries([...query].filter(([name]) => name !== "status"));
  if (!(Date.parse(filter.until) < now())) filter.until = new Date(now()).toISOString();
  const statuses = query.getAll("status");
  return statuses.length ? { ...filter, status: statuses } : filter;
}

/** Ask for all of them, so many at a time as the server takes, until `step(sum)` returns false. A refusal to take
 * more at once is waited for; any other ends it, and is the sum's `fault`. */
async function each(action, { ids, filter }, dry, step) {
  const sum = { matched: 0, done: 0, refused: [], fault: null, more: true };
  let at = 0;
  let cursor;
  while (sum.more && step(sum)) {
    const part = ids ? { ids: ids.slice(at, at + AT_ONCE) } : { filter: { ...filter, cursor } };
    try {
      const found = await post("/runs/bulk", { action, ...part, dry_run: dry });
      sum.matched += found.matched;
      sum.done += found.done;
      sum.refused.push(...found.refused);
      at += AT_ONCE;
      cursor = found.next_cursor;
      sum.more = ids ? at < ids.length : found.more;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 429) return { ...sum, fault: error };
      await pause(trouble(error, 1).wait, undefined, true);
      connection();
    }
  }
  return sum;
}

/** True when something was done. */
async function act(action, which) {
  const { label, done } = ACTIONS[action];
  const found = await working("Counting the runs", (step) => each(action, which, true, (sum) => step(sum.matched) && sum.matched < MOST));
  if (found.fault) return notice(`${found.fault.message} ${found.fault.hint ?? ""}`, "bad");
  if (found.stopped) return;
  const refused = found.refused.length;
  const able = found.matched - refused;
  const runs = `${found.more ? "more than " : ""}${plural(able, "run")}`;
  if (!able && !found.more) return notice(`None of these ${count(found.matched)} runs can: ${reasons(found.refused)}.`, "bad");
  if (!(await sure(`${label} ${runs}?`, refused ? `${plural(refused, "run")} of the ${count(found.matched)} cannot: ${reasons(found.refused)}.` :
    "This cannot be taken back.", "Leave them", `${label} ${runs}`, action === "cancel" ? "danger" : "primary"))) return;
  const result = await working(`${label} ${runs}`, (step) => each(action, which, false, (sum) => step(sum.matched, found.more ? 0 : found.matched)));
  const rest = result.fault ? ` Then: ${result.fault.message}` : result.stopped ? " The others are as they were." : "";
  notice(`${plural(result.done, "run")} ${done}.${rest}`, result.fault ? "bad" : "");
  return true;
}

/** Say how far it is, with a way to stop, when it takes longer than a moment. */
async function working(title, work) {
  const line = h("p", "\u00a0");
  const bar = h("progress", { "aria-label": title });
  const state = { stopped: false, over: false };
  let stopping;
  const timer = setTimeout(() => (stopping = modal(title, [line, bar], [["stop", "Stop"]]).then(() => (state.stopped = !state.over))), 300);
  const result = await work((looked, all) => {
    say(line, all ? `${count(looked)} of ${plural(all, "run")}` : plural(looked, "run"));
    if (all) Object.assign(bar, { max: all, value: looked });
    return !state.stopped;
  });
  clearTimeout(timer);
  state.over = true;
  if (stopping) {
    line.closest("dialog")?.close();
    await stopping;
  }
  return { ...result, stopped: state.stopped && result.more };
}

function reasons(refused) {
  const words = new Set(refused.map((each) => each.reason));
  return [...words].slice(0, 3).join("; ");
}
