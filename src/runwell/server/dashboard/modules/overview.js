// Over the list: what waits, what works, and how the last hour went.

import { get, poll, Problem } from "./api.js";
import { draw } from "./chart.js";
import { fill, h } from "./dom.js";
import { instant, plural, span, status } from "./words.js";

const EVERY = 5_000;
const HOUR = 3_600_000;

export function overview(context, query) {
  const numbers = h("dl.depths");
  const place = h("div.chart", { role: "img", "aria-label": "Runs of the last hour" });
  const element = h("section.overview", { "aria-label": "The last hour", hidden: true }, numbers, place);
  return {
    element,
    start() {
      poll(context.signal, async () => {
        const until = new Date();
        const asked = new URLSearchParams({ since: new Date(until - HOUR).toISOString(), until: until.toISOString(), bucket: 60 });
        for (const name of ["owner", "all_owners"]) if (query.has(name)) asked.set(name, query.get(name));
        const stats = await get(`/runs/stats?${asked}`, { signal: context.signal });
        element.hidden = false;
        depths(numbers, stats.queue);
        await draw(place, stats, context.signal);
        return EVERY;
      }).catch((error) => {
        if (!(error instanceof Problem)) throw error;
        element.hidden = true;
      });
    },
  };
}

function depths(place, queue) {
  const total = (name) => queue.reduce((sum, each) => sum + (each[name] ?? 0), 0);
  const oldest = queue.map((each) => each.oldest_queued_at).filter(Boolean).sort()[0];
  const longest = oldest ? (Date.now() - instant(oldest)) / 1000 : null;
  const busiest = [...queue].filter((each) => each.queued).sort((a, b) => b.queued - a.queued).slice(0, 3);
  fill(place, ["queued", "running", "waiting"].map((word) => h("div", h("dt", status(word)), h("dd", String(total(word))))),
    h("div.note", h("dt.unseen", "Queue"), h("dd", longest === null ? "Nothing waits for a worker." :
      `The oldest has waited ${span(longest)}: ${busiest.map((each) => `${each.agent} ${plural(each.queued, "run")}`).join(", ")}.`)));
}
