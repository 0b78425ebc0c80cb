// What a run is and how it stands, in one look.

import { fill, h, keep, say } from "./dom.js";
import { clock, count, FINAL, fine, instant, money, now, short, status, whole } from "./words.js";

export function header(context, actions) {
  const title = h("h1");
  const state = h("div.state");
  const facts = h("dl.facts");
  const bar = h("progress", { max: 100, "aria-label": "Progress", hidden: true });
  const doing = h("p.doing", { hidden: true });
  const element = h("header.run-head", h("nav.crumbs", { "aria-label": "Where this is" }, h("a", { href: "/ui/" }, "Runs")),
    h("div.head", title, state, actions), h("div.progress", bar, doing), facts);
  const seen = { run: null };
  const timer = setInterval(() => {
    const run = seen.run;
    if (run && run.started_at && !FINAL.has(run.status)) draw(facts, run);
  }, 1_000);
  context.signal.addEventListener("abort", () => clearInterval(timer));
  return {
    element,
    state(run) {
      seen.run = run;
      if (!title.firstChild) title.append(run.agent, " ", h("span.id", { title: run.id }, short(run.id)));
      const is = status(run.status, run.reason);
      if (state.textContent !== is.textContent) fill(state, is);
      const percent = run.progress?.percent;
      bar.hidden = FINAL.has(run.status) || percent === null || percent === undefined;
      if (!bar.hidden) bar.value = percent;
      doing.hidden = FINAL.has(run.status) || !run.progress?.step;
      say(doing, run.progress?.step ?? "");
      draw(facts, run);
    },
  };
}

function draw(place, run) {
  const { usage } = run;
  const tokens = usage.input_tokens + usage.output_tokens;
  const took = run.duration ?? (run.started_at ? (now() - instant(run.started_at)) / 1000 : null);
  const lines = [
    ["Created", clock(instant(run.created_at)), whole(instant(run.created_at))],
    run.queue_position === null ? null : ["In the queue", run.queue_position ? `${count(run.queue_position)} before it` : "next"],
    took === null ? null : [FINAL.has(run.status) ? "Took" : "So far", FINAL.has(run.status) ? fine(took) : fine(Math.floor(took)).replace(".00", "")],
    run.ttft === null ? null : ["First output", fine(run.ttft)],
    ["Attempt", run.max_attempts > 1 ? `${run.attempt}, ${run.tries} of ${run.max_attempts} tries used` : String(run.attempt)],
    run.worker ? ["Worker", run.worker] : null,
    ["Steps", `${run.steps.finished} of ${run.steps.total}${run.steps.failed ? `, ${run.steps.failed} failed` : ""}`],
    tokens ? ["Tokens", `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out`] : null,
    usage.cost ? ["Cost", money(usage.cost)] : null,
    run.retry_of ? ["Retry of", link(run.retry_of)] : null,
    run.continues ? ["Continues", link(run.continues)] : null,
    run.source === "native" ? null : ["Came by", run.source],
    run.concurrency_key ? ["Concurrency key", run.concurrency_key] : null,
    Object.keys(run.metadata).length ? ["Metadata", JSON.stringify(run.metadata)] : null,
  ].filter(Boolean);
  // Only what differs is written: a fact that was marked, or is being read, stays where it is.
  keep(place, lines, ([name]) => name, ([name, value, title]) => h("div", h("dt", name), h("dd", { title: title ?? "" }, value)), (element, [, value]) => {
    if (typeof value === "string") say(element.lastChild, value);
  });
}

const link = (id) => h("a", { href: `/ui/runs/${id}` }, short(id));
