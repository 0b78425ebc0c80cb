// Runs that start by themselves.

import { call, get, post } from "./api.js";
import { field, h } from "./dom.js";
import { attempt, sure } from "./keyboard.js";
import { agentChoice, listing, tag } from "./listing.js";
import { ago, clock, instant, short } from "./words.js";

const MISSED = [["skip", "leave them out"], ["once", "one run for all of them"], ["all", "a run for each"]];

export async function show(main, context) {
  const writes = context.may("runs:write");
  const reload = await listing(main, {
    title: "Schedules", about: "Runs that start by the clock, once each, however many servers there are.",
    above: writes ? await form(context, () => reload()) : null,
    load: async () => (await get("/schedules?limit=100", { signal: context.signal })).schedules,
    columns: [
      ["Name", (each) => each.name || short(each.id)],
      ["When", (each) => [h("code", each.cron), " ", h("small", each.timezone)]],
      ["Agent", (each) => h("a", { href: `/ui/agents/${encodeURIComponent(each.agent)}` }, each.agent)],
      ["Next", (each) => (each.paused || !each.next_at ? "–" : clock(instant(each.next_at))), "number"],
      ["Last run", (each) => (each.last_run_id ? h("a", { href: `/ui/runs/${each.last_run_id}` }, each.last_at ? ago(each.last_at) : short(each.last_run_id)) : "–")],
      ["State", (each) => [tag(each.paused ? "paused" : "on"), each.last_error ? h("p.bad", each.last_error) : null]],
      writes ? ["", (each) => actions(each, () => reload(), context)] : null,
    ],
    empty: [h("h2", "No schedules yet"), h("p", "Start a run every morning, or every five minutes, or on the first of the month.")],
  });
}

async function form(context, reload) {
  const name = h("input", { type: "text", maxLength: 200 });
  const agent = await agentChoice(context.signal);
  const cron = h("input", { type: "text", required: true, value: "0 9 * * 1-5", spellcheck: false });
  const zone = h("input", { type: "text", value: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" });
  const missed = h("select", MISSED.map(([value, label]) => h("option", { value }, label)));
  const input = h("textarea", { rows: 2, class: "mono", spellcheck: false });
  return h("details.card", h("summary", "Add a schedule"), h("form", { onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      await post("/schedules", { name: name.value, agent: agent.value, cron: cron.value, timezone: zone.value, missed: missed.value, input: valueOf(input.value) });
      await reload();
    }, "It is on.");
  } }, h("div.row", field("Name", name), field("Agent", agent)), h("div.row", field("Cron", cron, "minute hour day month weekday"), field("Time zone", zone), field("Times missed while no server ran", missed)),
  field("Input", input, "JSON, or plain text"), h("p.buttons", h("button.primary", { type: "submit" }, "Add"))));
}

function valueOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function actions(schedule, reload, context) {
  const path = `/schedules/${schedule.id}`;
  return h("span.buttons",
    h("button", { type: "button", onclick: () => attempt(async () => {
      const run = await post(`${path}/fire`);
      context.go(`/ui/runs/${run.id}`);
    }) }, "Run now"),
    h("button", { type: "button", onclick: () => attempt(async () => (await call("PATCH", path, { paused: !schedule.paused }), reload()), schedule.paused ? "Resumed." : "Paused.") }, schedule.paused ? "Resume" : "Pause"),
    h("button.quiet", { type: "button", onclick: async () => {
      if (await sure("Delete this schedule?", "Its runs stay.", "Keep it", "Delete")) await attempt(async () => (await call("DELETE", path), reload()), "Deleted.");
    } }, "Delete …"));
}
