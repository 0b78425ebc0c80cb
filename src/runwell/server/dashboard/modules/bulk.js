// Many runs at once: what is selected, or all that fits the filters. The server counts before it is asked
// to do anything.

import { post } from "./api.js";
import { h, say } from "./dom.js";
import { attempt, modal, notice } from "./keyboard.js";
import { FINAL, plural, short } from "./words.js";

const ACTIONS = {
  cancel: { label: "Cancel", fits: (run) => !FINAL.has(run.status), done: "cancelled" },
  retry: { label: "Retry", fits: (run) => FINAL.has(run.status), done: "queued again" },
};

export function selection(context, query, changed) {
  const ids = new Set();
  const shown = { runs: [] };
  const text = h("span");
  const bar = h("div.bulk", { role: "region", "aria-label": "Selected runs", hidden: true }, text,
    Object.entries(ACTIONS).map(([action, { label }]) =>
      h("button", { type: "button", onclick: () => act(action, { ids: [...ids] }, finish) }, `${label} …`)),
    offered(query) ? Object.entries(ACTIONS).map(([action, { label }]) =>
      h("button", { type: "button", onclick: () => act(action, { filter: asFilter(query) }, finish) }, `${label} all that fit the filters …`)) : null,
    h("button.quiet", { type: "button", onclick: () => clear() }, "Clear"));
  const all = h("input", { type: "checkbox", "aria-label": "Select all runs shown", onchange: () => {
    for (const run of shown.runs) all.checked && !boxes.get(run.id)?.disabled ? ids.add(run.id) : ids.delete(run.id);
    draw();
  } });
  const boxes = new Map();
  const draw = () => {
    for (const [id, box] of boxes) box.checked = ids.has(id);
    bar.hidden = !ids.size;
    all.checked = ids.size > 0 && shown.runs.every((run) => ids.has(run.id));
    all.indeterminate = ids.size > 0 && !all.checked;
    say(text, `${plural(ids.size, "run")} selected`);
  };
  const clear = () => {
    ids.clear();
    draw();
  };
  const finish = () => {
    clear();
    changed();
  };
  return {
    bar,
    all,
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
const offered = (query) => [...query].length > 0 && !query.has("owner") && !query.has("all_owners");

/** The filters of the URL as the API's `filter`. */
function asFilter(query) {
  const filter = Object.fromEntries([...query].filter(([name]) => name !== "status"));
  const statuses = query.getAll("status");
  return statuses.length ? { ...filter, status: statuses } : filter;
}

async function act(action, which, finish) {
  let found;
  if (!(await attempt(async () => (found = await post("/runs/bulk", { action, ...which, dry_run: true }))))) return;
  const { label, done } = ACTIONS[action];
  const refused = found.refused.length;
  const able = found.matched - refused;
  const said = `${label} ${plural(able, "run")}?`;
  const note = [
    refused ? `${plural(refused, "run")} of the ${found.matched} cannot: ${reasons(found.refused)}.` : "This cannot be taken back.",
    found.more ? " More runs fit the filters than are done at once: ask again afterwards." : "",
  ];
  if (!able) return notice(`None of these ${found.matched} runs can: ${reasons(found.refused)}.`, "bad");
  const chosen = await modal(said, h("p", note), [["", "Leave them"], ["yes", `${label} ${plural(able, "run")}`, action === "cancel" ? "danger" : "primary"]]);
  if (chosen !== "yes") return;
  await attempt(() => post("/runs/bulk", { action, ...which, dry_run: false }), (result) => `${plural(result.done, "run")} ${done}.`);
  finish();
}

function reasons(refused) {
  const words = new Set(refused.map((each) => each.reason));
  return [...words].slice(0, 3).join("; ");
}
