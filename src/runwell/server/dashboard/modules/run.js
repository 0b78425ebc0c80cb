// One run, as it happens. Its log is followed event by event; what the log does not say (its place in the
// queue, why it is in this state) is asked for when the log says that something changed.

import { call, get, poll, post, Problem } from "./api.js";
import { answering } from "./answering.js";
import { deliveries } from "./deliveries.js";
import { eachFrame, fill, h, whenThere } from "./dom.js";
import { eventTable } from "./event_table.js";
import { follow } from "./follow.js";
import { header } from "./run_header.js";
import { aloud, attempt, sure } from "./keyboard.js";
import { loadMarkdown } from "./markdown.js";
import { Log } from "./log.js";
import { snippets, copy, submitting } from "./snippets.js";
import { transcript } from "./transcript.js";
import { trace, waterfall } from "./waterfall.js";
import { FINAL, short } from "./words.js";

export async function show(main, context, id) {
  const asking = context.first?.id ? context.first : get(`/runs/${id}`, { signal: context.signal });
  const [run] = await Promise.all([asking, loadMarkdown()]);
  const page = build(main, context, run);
  page.state(run);
  let told;
  whenThere(main.firstChild, new Promise((resolve) => (told = resolve)), page.why());
  const asked = { due: false };
  const ask = () => (asked.due = true);
  const log = page.log;
  const watching = follow(run.id, context.signal, (events) => {
    log.take(events);
    page.draw();
    // It is drawn in a frame after this one.
    requestAnimationFrame(() => requestAnimationFrame(told));
    if (events.some((event) => !event.type.startsWith("output.") || event.type === "output.progress_noted" || event.type === "output.usage_counted")) ask();
  }).catch((error) => {
    if (!(error instanceof Problem)) throw error;
    page.pruned(error);
    told();
  });
  const state = { asked: 0 };
  poll(context.signal, async () => {
    const live = !FINAL.has(page.run.status);
    // The queue moves without this run's log saying so.
    if (asked.due || (live && Date.now() - state.asked > 2_000)) {
      asked.due = false;
      state.asked = Date.now();
      page.state(await get(`/runs/${run.id}`, { signal: context.signal }));
      page.why();
    }
    return live || asked.due ? 150 : 1_000;
  }).catch(context.fault);
  await watching;
}

function build(main, context, run) {
  const log = new Log();
  const actions = h("div.actions");
  const head = header(context, actions);
  const why = h("p.why", "\u00a0");
  const failure = h("div");
  const asking = h("div");
  const bars = waterfall(log, context.signal);
  const said = transcript(log);
  const events = eventTable(log);
  const told = deliveries(run.id, context);
  const code = snippets(() => elsewhere(run, log, context));
  const panels = tabs([
    ["Transcript", said.element, () => said.draw()], ["Log", events.element, () => events.draw()],
    ["Deliveries", told.element, () => told.load().catch(context.fault)], ["Use the API", code.element, () => code.draw()],
  ]);
  const page = { log, run, opened: false };
  fill(main, h("div.view.run", head.element, why, failure, asking, bars.element, panels.element));
  page.draw = eachFrame(() => {
    bars.draw();
    panels.draw();
    openAtFailure(page, failure, bars);
  });
  page.why = async () => {
    try {
      const said = await get(`/runs/${run.id}/why`, { signal: context.signal });
      // Names stand between backticks.
      if (why.told !== said.why) fill(why, (why.told = said.why).split("`").map((text, index) => (index % 2 ? h("code", text) : text)));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  };
  page.state = (now) => {
    if (page.run !== now && JSON.stringify(page.run) === JSON.stringify(now)) return;
    // Whoever listens hears what became of it, and no clocks.
    if (page.run.status !== now.status) aloud(`${now.agent}: ${now.status}`);
    page.run = now;
    head.state(now);
    context.title(`${now.status}: ${now.agent} ${short(now.id)}`);
    drawActions(actions, now, context);
    const key = now.question?.key ?? "";
    if (asking.dataset.key !== key) {
      asking.dataset.key = key;
      fill(asking, key && context.may("runs:write") ? answering(now, () => null) : null);
    }
  };
  page.pruned = (error) => fill(failure, h("div.fault", h("p", error.message), h("p", error.hint)));
  context.keys(keysOf(page, context, panels));
  return page;
}

function keysOf(page, context, panels) {
  const live = () => !FINAL.has(page.run.status);
  const writes = context.may("runs:write");
  return {
    c: { does: "cancel the run", run: async () => live() && writes && (await sure("Cancel this run?", "This cannot be taken back.", "Let it go on", "Cancel the run")) && cancel(page.run) },
    r: { does: "retry the run", run: async () => !live() && writes && (await sure("Retry this run?", "A new run is made. It does not repeat the steps that are done.", "Leave it", "Retry", "primary")) && retry(page.run, context) },
    y: { does: "copy the run's id", run: () => copy(page.run.id) },
    1: { does: "transcript", run: () => panels.open(0) },
    2: { does: "log", run: () => panels.open(1) },
    3: { does: "deliveries", run: () => panels.open(2) },
    4: { does: "use the API", run: () => panels.open(3) },
  };
}

function openAtFailure(page, place, bars) {
  const { log } = page;
  if (log.end?.status !== "failed" || page.opened) return;
  page.opened = true;
  const { error, reason } = log.end;
  const step = log.failing;
  fill(place, h("section.fault", { "aria-label": "Why it failed" },
    h("h2", step ? `Failed in ${step.name}` : `Failed: ${reason.replaceAll("_", " ")}`),
    h("p", h("strong", error.code), " ", error.message), trace(error),
    h("p.hint", "A failed run stays as it is. A retry makes a new run, which does not repeat the steps that are done.")));
  if (step) bars.show(step);
}

function drawActions(place, run, context) {
  const key = `${run.status} ${run.cancel_requested_at}`;
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const final = FINAL.has(run.status);
  const writes = context.may("runs:write");
  fill(place,
    writes && !final ? h("button.danger", { type: "button", disabled: Boolean(run.cancel_requested_at), onclick: () => cancel(run) }, run.cancel_requested_at ? "Cancelling …" : "Cancel") : null,
    writes && final ? h("button.primary", { type: "button", onclick: () => retry(run, context) }, "Retry") : null,
    run.thread_id ? h("a.button", { href: `/ui/threads/${run.thread_id}` }, "Thread") : null,
    h("a.button", { href: `/ui/agents/${encodeURIComponent(run.agent)}` }, "Start another"),
    h("button", { type: "button", onclick: () => copy(run.id) }, "Copy id"),
    writes && final ? h("button.quiet", { type: "button", onclick: () => remove(run, context) }, "Delete …") : null);
}

const cancel = (run) => attempt(() => post(`/runs/${run.id}/cancel`), (now) => (now.status === "cancelled" ? "Cancelled." : "It is being stopped."));

function retry(run, context) {
  return attempt(async () => {
    const made = await post(`/runs/${run.id}/retry`);
    context.go(`/ui/runs/${made.id}`);
  }, "A new run is queued.");
}

async function remove(run, context) {
  if (await sure("Delete this run?", "Its log and its steps go with it. This cannot be taken back.", "Keep it", "Delete")) await attempt(async () => {
    await call("DELETE", `/runs/${run.id}`);
    context.go("/ui/");
  }, "Deleted.");
}

function elsewhere(run, log, context) {
  const again = submitting(run.agent, log.input ?? null, context.via);
  const bearer = context.via === "local" ? "" : ` -H "Authorization: Bearer $RUNWELL_API_KEY"`;
  return {
    curl: `# this run\ncurl${bearer} ${location.origin}/runs/${run.id}\n# its log, as it grows\ncurl -N${bearer} -H 'Accept: text/event-stream' ${location.origin}/runs/${run.id}/events\n\n# another like it\n${again.curl}`,
    Python: again.Python,
    JavaScript: again.JavaScript,
  };
}

/** Panels of which one is open; it alone is drawn. */
function tabs(panels) {
  const state = { open: 0 };
  const buttons = panels.map(([name], index) => h("button", {
    type: "button", role: "tab", id: `tab-${index}`, "aria-controls": `panel-${index}`,
    onclick: () => open(index), onkeydown: (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1 }[event.key];
      if (to !== undefined && buttons[to]) {
        open(to);
        buttons[to].focus();
      }
    },
  }, name));
  const places = panels.map(([, element], index) => h("div.panel", { role: "tabpanel", id: `panel-${index}`, "aria-labelledby": `tab-${index}` }, element));
  const open = (index) => {
    state.open = index;
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      places[at].hidden = at !== index;
    });
    panels[index][2]();
  };
  const element = h("div.tabbed", h("div.tabs", { role: "tablist", "aria-label": "About this run" }, buttons), places);
  buttons.forEach((button, at) => (button.setAttribute("aria-selected", String(at === 0)), (button.tabIndex = at ? -1 : 0), (places[at].hidden = at > 0)));
  // Deliveries are asked for, not told in the log: they are drawn when the panel is opened.
  return { element, open, draw: () => state.open !== 2 && panels[state.open][2]() };
}
