// The log as it is stored: every event with its number.

import { h, say } from "./dom.js";
import { virtual } from "./virtual.js";
import { clock, fine, instant, oneLine, plural } from "./words.js";

export function eventTable(log) {
  const detail = h("pre.event", { tabIndex: 0, hidden: true, "aria-label": "The event that was picked" });
  const total = h("p.hint");
  const find = h("input", { type: "search", id: "find-event", autocomplete: "off", oninput: () => filter() });
  const state = { rows: [], from: 0 };
  const list = virtual({
    label: "Events", columns: ["seq", "time", "after", "type", "data"], height: 26, kind: "events",
    key: (index) => state.rows[index]?.seq,
    render: (index) => row(state.rows[index], log.created?.at ?? 0),
    pick: (index) => {
      detail.hidden = false;
      const { seq, at, type, data } = state.rows[index];
      detail.textContent = JSON.stringify({ seq, at, type, data }, null, 2);
    },
  });
  const fits = (event) => {
    const word = find.value.trim().toLowerCase();
    return !word || event.type.includes(word) || JSON.stringify(event.data).toLowerCase().includes(word);
  };
  const filter = () => {
    state.rows = log.events.filter(fits);
    state.from = log.events.length;
    list.refresh();
    grow();
    list.choose(0, { quiet: true });
  };
  const grow = () => {
    for (; state.from < log.events.length; state.from++) if (fits(log.events[state.from])) state.rows.push(log.events[state.from]);
    list.grow(state.rows.length);
    const all = plural(log.events.length, "event");
    say(total, state.rows.length === log.events.length ? all : `${state.rows.length} of ${all}`);
  };
  const element = h("section.log", { "aria-label": "Log" },
    h("div.head", h("span.filter", h("label", { htmlFor: "find-event" }, "Find in type and data"), find), total), list.element, detail);
  return { element, draw: grow, goTo: (seq) => list.choose(state.rows.findIndex((event) => event.seq === seq)) };
}

function row(event, from) {
  const at = instant(event.at);
  return h("div", { class: event.type.split(".")[0] },
    h("span.number", { role: "cell" }, String(event.seq)), h("span", { role: "cell" }, clock(at)),
    h("span.number", { role: "cell" }, fine((at - from) / 1000)), h("span.type", { role: "cell" }, event.type),
    h("span.data", { role: "cell" }, oneLine(event.data, 300)));
}
