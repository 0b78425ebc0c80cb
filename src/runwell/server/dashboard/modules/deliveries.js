// What of a run was told to whom: each post with its answer, and posting it again.

import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { attempt } from "./keyboard.js";
import { ago, clock, fine, instant, plural } from "./words.js";

export function deliveries(runId, context) {
  const element = h("section.deliveries", { "aria-label": "Deliveries" });
  const load = async () => {
    const found = await get(`/runs/${runId}/deliveries`, { signal: context.signal });
    fill(element, found.deliveries.length ? found.deliveries.map((each) => card(each, load, context)) : h("div.empty",
      h("h2", "Nobody is told of this run"), h("p", "A callback posts the end of every run to an address of yours, signed."), h("p", h("a.button", { href: "/ui/callbacks" }, "Set up a callback"))));
    return found.deliveries;
  };
  return { element, load };
}

function card(delivery, load, context) {
  const again = h("button", { type: "button", onclick: () => attempt(async () => {
    await post(`/deliveries/${delivery.id}/redeliver`);
    await load();
  }, "It is posted again now.") }, "Post again");
  const next = delivery.next_at ? h("p", "Next post at ", clock(instant(delivery.next_at)), ".") : null;
  return h("article.card", h("div.head", h("h3", delivery.event, " → ", h("span.url", delivery.url)), h("span.tag", { class: delivery.status }, delivery.status.replaceAll("_", " ")), context.may("runs:write") ? again : null),
    next, delivery.history.length ? h("table", h("caption.unseen", plural(delivery.history.length, "post")), h("thead", h("tr", ["#", "When", "Answer", "Took"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", delivery.history.map((each) => h("tr", h("td.number", String(each.number)), h("td", ago(each.at)), h("td", each.status_code ? `HTTP ${each.status_code}` : each.error), h("td.number", fine(each.duration)))))) : h("p.hint", "Not posted yet."));
}
