// The processes that serve and work, by what they last said of themselves.

import { get, poll } from "./api.js";
import { h } from "./dom.js";
import { listing, tag } from "./listing.js";
import { ago } from "./words.js";

export async function show(main, context) {
  const reload = await listing(main, {
    title: "Workers", about: "Every process that serves or works on this database. One that is silent for its lapse counts as gone, and its runs are taken over.",
    load: async () => (await get("/workers", { signal: context.signal })).workers,
    columns: [
      ["State", (worker) => tag(worker.alive ? (worker.stopping ? "stopping" : "alive") : "gone")],
      ["Name", (worker) => h("code", worker.name)], ["Host", (worker) => `${worker.host}, process ${worker.pid}`, "wide"],
      ["Does", (worker) => [worker.serves ? "serves" : null, worker.places ? "works" : null].filter(Boolean).join(" and ") || "–"],
      ["Busy", (worker) => [h("meter", { min: 0, max: Math.max(worker.places, 1), value: worker.running, "aria-label": "Places taken" }), ` ${worker.running} of ${worker.places}`], "number"],
      ["Agents", (worker) => worker.agents.join(", ") || "–", "what wide"], ["Version", (worker) => worker.version ?? "–", "wide"],
      ["Started", (worker) => ago(worker.started_at), "number"], ["Heard", (worker) => ago(worker.seen_at), "number"],
    ],
    empty: [h("h2", "No process has said anything yet"), h("p", "Runs wait until a worker serves their agent:"), h("pre", { tabIndex: 0 }, "runwell work --db postgresql://… my_agents.py")],
  });
  if (reload) await poll(context.signal, async () => {
    const focused = main.contains(document.activeElement) && document.activeElement !== main;
    if (!focused) await reload();
    return 2_000;
  });
}
