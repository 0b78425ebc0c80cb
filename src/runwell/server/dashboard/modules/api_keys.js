// Keys of programs, for administrators.

import { call, get, post } from "./api.js";
import { field, h } from "./dom.js";
import { attempt, sure } from "./keyboard.js";
import { listing, secret, tag } from "./listing.js";
import { copy } from "./snippets.js";
import { ago } from "./words.js";

const SCOPES = ["runs:read", "runs:write", "agents:write", "admin"];

export async function show(main, context) {
  const made = h("div");
  const reload = await listing(main, {
    title: "Keys", about: "What programs come with. A key's runs are its owner's, and nobody else's.",
    above: [context.via === "local" ? h("p.hint", "This server is in local mode. With the first key, and after a restart, every request needs one.") : null, form(made, () => reload()), made],
    load: async () => (await get("/keys", { signal: context.signal })).keys,
    columns: [
      ["Name", (key) => key.name], ["Owner", (key) => key.owner], ["Begins with", (key) => h("code", key.prefix)],
      ["May", (key) => key.scopes.join(", ")], ["Made", (key) => ago(key.created_at), "number"],
      ["State", (key) => (key.revoked_at ? tag("revoked") : tag("good"))],
      ["", (key) => (key.revoked_at ? null : h("button.quiet", { type: "button", onclick: () => revoke(key, () => reload()) }, "Revoke …"))],
    ],
    empty: [h("h2", "No keys yet"), h("p", "Make one above, or in a shell:"), h("pre", { tabIndex: 0 }, "runwell keys create my-program")],
  });
}

function form(made, reload) {
  const name = h("input", { type: "text", required: true, maxLength: 200 });
  const owner = h("input", { type: "text", maxLength: 200, placeholder: "you" });
  const boxes = SCOPES.map((scope) => h("input", { type: "checkbox", id: `scope-${scope}`, value: scope, checked: scope !== "admin" }));
  return h("details.card", h("summary", "Make a key"), h("form", { onsubmit: (event) => {
    event.preventDefault();
    const scopes = boxes.filter((box) => box.checked).map((box) => box.value);
    attempt(async () => {
      const key = await post("/keys", { name: name.value, scopes, ...(owner.value ? { owner: owner.value } : {}) });
      made.replaceChildren(secret(`The key ${key.name}`, key.secret, "Shown this once. Put it where the program finds it, as RUNWELL_API_KEY.", copy));
      name.value = "";
      await reload();
    });
  } }, h("div.row", field("Name", name), field("Owner", owner, "Whose runs it sees and makes")),
  h("fieldset.group.inner", h("legend", "May"), boxes.map((box) => h("span.check", box, h("label", { htmlFor: box.id }, box.value)))),
  h("p.buttons", h("button.primary", { type: "submit" }, "Make the key"))));
}

async function revoke(key, reload) {
  if (await sure(`Revoke ${key.name}?`, "Programs that use it are refused from now on. This cannot be taken back.", "Keep it", "Revoke")) await attempt(async () => (await call("DELETE", `/keys/${key.id}`), reload()), "Revoked.");
}
