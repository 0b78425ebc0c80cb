// Who is told when runs end, and what came of telling them.

import { call, get, post } from "./api.js";
import { field, h } from "./dom.js";
import { attempt, sure } from "./keyboard.js";
import { listing, secret, table, tag } from "./listing.js";
import { copy } from "./snippets.js";
import { ago, clock, instant, short } from "./words.js";

export async function show(main, context) {
  const made = h("div");
  const posted = h("section", { "aria-label": "Latest deliveries" });
  const writes = context.may("runs:write");
  const reload = await listing(main, {
    title: "Callbacks", about: "Each posts the ends of your runs to an address, signed, and again until it is answered.",
    above: [writes ? form(made, () => reload()) : null, made],
    load: async () => (await get("/callbacks", { signal: context.signal })).callbacks,
    columns: [
      ["Address", (each) => h("span.url", each.url)],
      ["Tells of", (each) => each.events.map((event) => event.replace("run.", "")).join(", ")],
      ["Agents", (each) => each.agents.join(", ") || "all"],
      ["State", (each) => tag(each.paused ? "paused" : "on")],
      writes ? ["", (each) => actions(each, made, () => reload())] : null,
    ],
    empty: [h("h2", "No callbacks yet"), h("p", "Give an address above: it is told of every run that ends, and can check that it was this server who told it.")],
  });
  main.firstChild.append(posted);
  const { deliveries } = await get("/deliveries?limit=20", { signal: context.signal });
  if (!deliveries.length) return;
  posted.append(h("div.head", h("h2", "Latest deliveries"), writes ? h("button", { type: "button", onclick: again }, "Post again what was given up") : null),
    table(deliveries, [
      ["Run", (each) => h("a", { href: `/ui/runs/${each.run_id}` }, short(each.run_id))],
      ["Event", (each) => each.event], ["Address", (each) => h("span.url", each.url)],
      ["State", (each) => tag(each.status)],
      ["Posts", (each) => String(each.posts), "number"],
      ["Last answer", (each) => (each.last ? (each.last.status_code ? `HTTP ${each.last.status_code}` : each.last.error) : "–")],
      ["Next", (each) => (each.next_at ? clock(instant(each.next_at)) : "–"), "number"],
      ["Created", (each) => ago(each.created_at), "number"],
    ], "Latest deliveries"));
}

const again = () => attempt(() => post("/deliveries/redeliver", {}), ({ redelivered }) => `${redelivered} will be posted again.`);

function form(made, reload) {
  const url = h("input", { type: "url", required: true, placeholder: "https://app.example.com/hooks" });
  const description = h("input", { type: "text", maxLength: 500 });
  return h("details.card", h("summary", "Add a callback"), h("form", { onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      const { secret: words } = await post("/callbacks", { url: url.value, description: description.value });
      made.replaceChildren(secret("Its secret", words, "Shown this once. Posts are signed with it, as Standard Webhooks are.", copy));
      url.value = description.value = "";
      await reload();
    }, "It is told of every run from now on.");
  } }, h("div.row", field("Address", url), field("Description", description)), h("p.buttons", h("button.primary", { type: "submit" }, "Add"))));
}

function actions(callback, made, reload) {
  const path = `/callbacks/${callback.id}`;
  return h("span.buttons",
    h("button", { type: "button", onclick: () => attempt(async () => (await call("PATCH", path, { paused: !callback.paused }), reload()), callback.paused ? "Resumed." : "Paused.") }, callback.paused ? "Resume" : "Pause"),
    h("button", { type: "button", onclick: () => attempt(async () => {
      const rotated = await post(`${path}/rotate`, {});
      made.replaceChildren(secret("The new secret", rotated.secret, `The old one is good until ${clock(instant(rotated.old_valid_until))}.`, copy));
    }) }, "New secret"),
    h("button.quiet", { type: "button", onclick: async () => {
      if (await sure("Delete this callback?", "What was still to be posted for it is given up.", "Keep it", "Delete")) await attempt(async () => (await call("DELETE", path), reload()), "Deleted.");
    } }, "Delete …"));
}
