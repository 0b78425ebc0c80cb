// Over the list: what waits, what works, and how the last hour went.

import { get, poll, Problem } from "./api.js";
import { draw } from "./chart.js";
import { h, say } from "./dom.js";
import { count, instant, now, plural, span, status } from "./words.js";

const EVERY = 5_000;
const HOUR = 3_600_000;
const STATES = ["queued", "running", "waiting"];

/** The part of a query that says whose runs are meant. */
export const whose = (query) => String(new URLSearchParams([...query].filter(([name]) => ["owner", "all_owners"].includes(name))));

export function overview(context, query) {
  const numbers = depths();
  const place = h("div.chart", { role: "img", "aria-label": "Runs of the last hour" });
  const element = h("section.overview", { "aria-label": "The last hour" }, numbers.element, place);
  const asked = { of: null };
  const look = async () => {
    const of = (asked.of = whose(query));
    const until = now();
    const range = new URLSearchParams({ since: new Date(until - HOUR).toISOString(), until: new Date(until).toISOString(), bucket: 60 });
    const stats = await get(`/runs/stats?${range}&${of}`, { signal: context.signal });
    if (asked.of !== of) return;
    numbers.show(stats.queue);
    await draw(place, stats, context.signal);
  };
  const without = (error) => {
    if (!(error instanceof Problem)) throw error;
    element.hidden = true;
  };
  return {
    element,
    /** It may be others' runs that are looked at now. */
    ask: () => whose(query) !== asked.of && look().catch(without),
    start: () => poll(context.signal, () => look().then(() => EVERY)).catch(without),
  };
}

function depths() {
  const numbers = STATES.map(() => h("dd", "–"));
  const note = h("dd", "\u00a0");
  const element = h("dl.depths", STATES.map((word, index) => h("div", h("dt", status(word)), numbers[index])),
    h("div.note", h("dt.unseen", "Queue"), note));
  return {
    element,
    show(queue) {
      STATES.forEach((word, index) => say(numbers[index], count(queue.reduce((sum, each) => sum + each[word], 0))));
      const oldest = queue.map((each) => each.oldest_queued_at).filter(Boolean).sort()[0];
      const busiest = queue.filter((each) => each.queued).sort((a, b) => b.queued - a.queued).slice(0, 3);
      say(note, oldest ? `The oldest has waited ${span(Math.max(now() - instant(oldest), 0) / 1000)}: ${
        busiest.map((each) => `${each.agent} ${plural(each.queued, "run")}`).join(", ")}.` : "Nothing waits for a worker.");
    },
  };
}
