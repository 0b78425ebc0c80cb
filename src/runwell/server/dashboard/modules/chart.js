// Runs per minute by how they ended, and how many were open. uPlot draws; a table says the same in words.

import { fill, h } from "./dom.js";
import { clock, count, instant } from "./words.js";

const ENDS = ["succeeded", "failed", "cancelled"];
const drawn = { library: null };

/** The script beside this module, under the nonce of the page. */
function library() {
  drawn.library ??= new Promise((resolve, reject) => {
    const own = document.querySelector("script[nonce]");
    document.head.append(h("link", { rel: "stylesheet", href: new URL("./vendor/uplot.css", import.meta.url).href }));
    const script = h("script", { nonce: own.nonce, onload: () => resolve(globalThis.uPlot), onerror: () => reject(new Error("uPlot did not load")) });
    // The one address this policy lets through: that of a file beside this module.
    const address = new URL("./vendor/uplot.js", import.meta.url).href;
    script.src = globalThis.trustedTypes ? trusted().createScriptURL(address) : address;
    document.head.append(script);
  });
  return drawn.library;
}

function trusted() {
  drawn.policy ??= globalThis.trustedTypes.createPolicy("runwell-chart", {
    createScriptURL: (address) => {
      if (address !== new URL("./vendor/uplot.js", import.meta.url).href) throw new TypeError("not a script of this page");
      return address;
    },
  });
  return drawn.policy;
}

const colour = (name) => getComputedStyle(document.querySelector(`.ink-${name}`)).color;

export async function draw(place, stats, signal) {
  const uPlot = await library();
  if (signal.aborted) return;
  const data = columns(stats);
  say(place, stats);
  const width = place.clientWidth || 600;
  if (place.plot && place.width === width) return place.plot.setData(data);
  place.plot?.destroy();
  if (!place.watched) {
    place.watched = true;
    const again = () => {
      place.width = 0;
      place.plot && draw(place, place.stats, signal);
    };
    addEventListener("themechange", again, { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again, { signal });
    const observer = new ResizeObserver(() => Math.abs(place.clientWidth - place.width) > 8 && again());
    observer.observe(place);
    signal.addEventListener("abort", () => observer.disconnect());
  }
  place.width = width;
  place.plot = new uPlot(options(uPlot, width, place), data, place.canvas ??= place.appendChild(h("div", { "aria-hidden": "true" })));
}

/** Times, the ends stacked from the last to the first, and the open runs, worked out backwards from now. */
function columns(stats) {
  const times = stats.buckets.map((each) => instant(each.at) / 1000);
  const stacked = [[], [], []];
  for (const each of stats.buckets) {
    let sum = 0;
    ENDS.forEach((end, index) => stacked[index].push((sum += each[end])));
  }
  let open = stats.queue.reduce((sum, each) => sum + each.queued + each.running + (each.waiting ?? 0), 0);
  const depth = new Array(times.length);
  for (let at = times.length - 1; at >= 0; at--) {
    depth[at] = Math.max(open, 0);
    const each = stats.buckets[at];
    open -= each.created - ENDS.reduce((sum, end) => sum + each[end], 0);
  }
  return [times, ...stacked.reverse(), depth];
}

function options(uPlot, width, place) {
  const ink = colour("muted");
  const grid = { stroke: colour("line"), width: 1 };
  const axis = { stroke: ink, grid, ticks: { show: false }, font: "11px system-ui" };
  const bars = uPlot.paths.bars({ size: [0.8, 14], align: 1 });
  const stack = [...ENDS].reverse().map((end) => ({ label: end, fill: colour(end), stroke: colour(end), width: 0, paths: bars, points: { show: false } }));
  return {
    width, height: 118, legend: { show: false }, padding: [8, 4, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, most) => [0, Math.max(most, 4)] }, open: { range: (_, __, most) => [0, Math.max(most, 4)] } },
    axes: [
      { ...axis, size: 22, space: 70, grid: { show: false }, values: (_, ticks) => ticks.map((each) => clock(each * 1000).slice(-8, -3)) },
      { ...axis, size: 34, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5] },
      { ...axis, size: 34, space: 28, scale: "open", side: 1, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5] },
    ],
    series: [{}, ...stack, { label: "open", scale: "open", stroke: colour("open"), width: 1.5, dash: [5, 3], points: { show: false } }],
    hooks: { setCursor: [(plot) => tip(plot, place)] },
  };
}

function tip(plot, place) {
  const note = place.tip ??= place.appendChild(h("p.tip", { hidden: true, "aria-hidden": "true" }));
  const each = place.stats.buckets[plot.cursor.idx];
  note.hidden = !each || plot.cursor.left < 0;
  if (note.hidden) return;
  note.textContent = `${clock(instant(each.at)).slice(0, -3)}: ${ENDS.map((end) => `${each[end]} ${end}`).join(", ")}, ${plot.data[4][plot.cursor.idx]} open`;
}

/** The picture in words, and the legend. */
function say(place, stats) {
  place.stats = stats;
  const sums = ENDS.map((end) => `${count(stats.buckets.reduce((sum, each) => sum + each[end], 0))} ${end}`);
  place.setAttribute("aria-label", `Runs that ended in the last hour: ${sums.join(", ")}`);
  if (!place.legend) {
    place.legend = place.appendChild(h("ul.legend", { "aria-hidden": "true" }));
    const names = [...ENDS, "open"];
    place.legend.append(...names.map((name) => h("li", h("i.ink", { class: `ink-${name}` }), h("span"))));
    place.append(h("i.ink-muted", { hidden: true }), h("i.ink-line", { hidden: true }));
  }
  [...sums, "open runs (right scale)"].forEach((text, index) => (place.legend.children[index].lastChild.textContent = text));
}
