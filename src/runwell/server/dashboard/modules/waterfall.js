// Where the time went: queue, attempts, steps, model calls, tool calls and waits, beside each other.

import { eachFrame, fill, h, icon, keep, say } from "./dom.js";
import { tree } from "./log.js";
import { clock, fine, json, now, plural } from "./words.js";

const KINDS = { queue: "queue", attempt: "attempt", wait: "wait", code: "step", model: "model call", tool: "tool call", workflow: "workflow" };
const ICONS = { queue: "queue", attempt: "attempt", wait: "wait", code: "code", model: "model", tool: "tool", workflow: "workflow" };
const MOST = 400;

const kindOf = (bar) => (bar.kind === "step" ? (bar.work in KINDS ? bar.work : "code") : bar.kind === "call" ? "tool" : bar.kind);

export function waterfall(log, signal) {
  const rows = h("div.bars", { role: "list", "aria-label": "Where the time went" });
  const scale = h("div.scale", { "aria-hidden": "true" });
  const detail = h("div.detail", { hidden: true, role: "region", "aria-label": "What was picked" });
  const legend = h("ul.legend", { "aria-label": "Kinds" });
  const element = h("section.waterfall", { "aria-label": "Timeline" }, h("div.head", h("h2", "Timeline"), legend), scale, rows, detail);
  const state = { picked: null, open: true };
  const draw = () => {
    const all = tree(log);
    const from = log.created?.at ?? 0;
    const to = Math.max(log.end?.at ?? now(), from + 1, ...log.bars.slice(-50).map((bar) => bar.end ?? 0));
    ticks(scale, to - from);
    legendOf(legend, all);
    const shown = all.length > MOST ? [...all.slice(0, 40), ...all.slice(40 - MOST)] : all;
    keep(rows, shown, ({ bar }) => bar, (row) => line(row, pick), (element, row) => place(element, row, from, to));
    for (const [bar, element] of rows.known) element.classList.toggle("picked", bar === state.picked);
    rows.classList.toggle("cut", all.length > MOST);
    if (all.length > MOST) rows.style.setProperty("--cut", `"${plural(all.length - MOST, "line")} left out"`);
  };
  const pick = (bar) => {
    state.picked = state.picked === bar ? null : bar;
    detail.hidden = !state.picked;
    if (state.picked) describe(detail, state.picked, () => pick(state.picked));
    draw();
  };
  const later = eachFrame(draw);
  const timer = setInterval(() => !log.end && log.created && later(), 250);
  signal.addEventListener("abort", () => clearInterval(timer));
  return {
    element,
    draw: later,
    /** Open at this bar. */
    show(bar) {
      draw();
      if (state.picked !== bar) pick(bar);
      const line = rows.known?.get(bar);
      if (line) rows.scrollTop = line.offsetTop - rows.clientHeight / 2;
    },
  };
}

function line({ bar, depth }, pick) {
  const kind = kindOf(bar);
  const element = h("div.bar", { role: "listitem", class: kind, data: { row: "" } },
    h("button", { type: "button", onclick: () => pick(bar) },
      h("span.name", { style: { "--depth": depth } }, icon(ICONS[kind]), h("span.unseen", `${KINDS[kind]} `), h("span.said", bar.name), h("span.outcome")),
      h("span.track", h("span.fill")), h("span.length")));
  return element;
}

function place(element, { bar }, from, to) {
  const end = bar.end ?? to;
  const whole = to - from;
  const fillBar = element.querySelector(".fill");
  fillBar.style.left = `${(100 * (bar.start - from)) / whole}%`;
  fillBar.style.width = `${Math.max((100 * (end - bar.start)) / whole, 0)}%`;
  say(element.querySelector(".length"), fine((end - bar.start) / 1000));
  if (element.dataset.outcome !== bar.outcome) {
    element.dataset.outcome = bar.outcome;
    const plain = ["succeeded", "done", "answered", "asked"].includes(bar.outcome) || (bar.outcome === "running" && bar.kind !== "step");
    const shape = { failed: "failed", lost: "failed", running: "running" }[bar.outcome];
    fill(element.querySelector(".outcome"), plain ? null : [shape ? icon(shape) : null, h("span", bar.outcome)]);
  }
}

function ticks(scale, whole) {
  const step = nice(whole / 5);
  const count = Math.floor(whole / step);
  if (scale.dataset.drawn === `${step} ${count}` && Math.abs(scale.whole - whole) < step / 100) return;
  scale.dataset.drawn = `${step} ${count}`;
  scale.whole = whole;
  fill(scale, Array.from({ length: count + 1 }, (_, index) =>
    (index * step) / whole < 0.97 ? h("span", { style: { left: `${(100 * index * step) / whole}%` } }, index ? fine((index * step) / 1000).replace(".00", "") : "0") : null));
}

function nice(ms) {
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 0.001)));
  return power * ([1, 2, 5, 10].find((each) => each * power >= ms) ?? 10);
}

function legendOf(legend, rows) {
  const kinds = [...new Set(rows.map(({ bar }) => kindOf(bar)))];
  if (legend.dataset.kinds === kinds.join()) return;
  legend.dataset.kinds = kinds.join();
  fill(legend, kinds.map((kind) => h("li", { class: kind }, h("i.key"), KINDS[kind])));
}

function describe(place, bar, close) {
  const facts = [
    ["Began", clock(bar.start)],
    bar.end ? ["Took", fine((bar.end - bar.start) / 1000)] : null,
    bar.worker ? ["Worker", bar.worker] : null,
    bar.kind === "step" ? ["Key", bar.key] : null,
    bar.outcome === "running" ? null : ["Outcome", bar.outcome],
    bar.retryAt ? ["Next try", clock(bar.retryAt)] : null,
  ];
  fill(place, h("div.head", h("h3", bar.name), h("button.quiet", { type: "button", onclick: close }, "Close")),
    h("dl.facts", facts.filter(Boolean).map(([name, value]) => h("div", h("dt", name), h("dd", value)))),
    bar.error ? h("div.fault", h("p", h("strong", bar.error.code), " ", bar.error.message), trace(bar.error)) : null,
    bar.question ? document_("Question", bar.question.question) : null,
    "answer" in bar ? document_("Answer", bar.answer) : null,
    "arguments" in bar ? document_("Arguments", bar.arguments) : null,
    "output" in bar ? document_(bar.kind === "call" ? "Result" : "Value", bar.output) : null);
}

export function trace(error) {
  return error.trace ? h("details", h("summary", "Traceback"), h("pre", { tabIndex: 0 }, error.trace)) : null;
}

export function document_(label, value) {
  return h("figure.document", h("figcaption", label), h("pre", { tabIndex: 0 }, json(value)));
}
