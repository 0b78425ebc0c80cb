// What of a run was told to whom: each post with its answer, and posting it again.

import { get, poll, post } from "./api.js";
import { fill, h, keep, say } from "./dom.js";
import { attempt } from "./keyboard.js";
import { ago, clock, fine, instant, plural } from "./words.js";

export function deliveries(runId, context) {
  const cards = h("div.deliveries");
  const empty = h("div.empty", { hidden: true }, h("h2", "Nobody is told of this run"),
    h("p", "A callback posts the end of every run to an address of yours, signed."), h("p", h("a.button", { href: "/ui/callbacks" }, "Set up a callback")));
  const element = h("section", { "aria-label": "Deliveries" }, cards, empty);
  const state = { due: false };
  const look = async () => {
    const found = await get(`/runs/${runId}/deliveries`, { signal: context.signal });
    keep(cards, found.deliveries, (each) => each.id, (each) => card(each, look, context), update);
    empty.hidden = found.deliveries.length > 0;
    state.due = found.deliveries.some((each) => each.next_at);
  };
  const load = () => {
    // A post that is still to come is seen when it was made.
    state.watched ??= poll(context.signal, async () => {
      if (state.due && element.offsetParent) await look();
      return 1_000;
    }).catch(context.fault);
    return look();
  };
  return { element, load };
}

function card(delivery, look, context) {
  const again = h("button", { type: "button", onclick: () => attempt(async () => {
    await post(`/deliveries/${delivery.id}/redeliver`);
    await look();
  }, "It is posted again now.") }, "Post again");
  return h("article.card", h("div.head", h("h3", delivery.event, " → ", h("span.url", delivery.url)), h("span.tag"), context.may("runs:write") ? again : null), h("div"));
}

function update(element, delivery) {
  const drawn = JSON.stringify(delivery);
  if (element.drawn === drawn) return;
  element.drawn = drawn;
  const tag = element.querySelector(".tag");
  tag.className = `tag ${delivery.status}`;
  say(tag, delivery.status.replaceAll("_", " "));
  fill(element.lastChild, delivery.next_at ? h("p", "Next post at ", clock(instant(delivery.next_at)), ".") : null,
    delivery.history.length ? h("div.scroll", { tabIndex: 0, role: "region", "aria-label": "Posts" }, h("table", h("caption.unseen", plural(delivery.history.length, "post")),
      h("thead", h("tr", ["#", "When", "Answer", "Took"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", delivery.history.map((each) => h("tr", h("td.number", String(each.number)), h("td", ago(each.at)), h("td", each.status_code ? `HTTP ${each.status_code}` : each.error), h("td.number", fine(each.duration)))))))
      : h("p.hint", "Not posted yet."));
}
