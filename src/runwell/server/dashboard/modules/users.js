// People who sign in, for administrators.

import { call, get, post } from "./api.js";
import { h } from "./dom.js";
import { attempt, sure } from "./keyboard.js";
import { listing, tag } from "./listing.js";
import { ago } from "./words.js";

export async function show(main, context) {
  const reload = await listing(main, described(context, () => reload()));
}

const described = (context, reload) => ({
  title: "Users", about: "People who sign in. Each has runs of their own.",
  load: async () => (await get("/users", { signal: context.signal })).users,
  columns: [
    ["E-mail", (user) => user.email], ["Name", (user) => user.name],
    ["Is", (user) => (user.admin ? tag("admin", "kind") : "user")],
    ["Since", (user) => ago(user.created_at), "number"],
    ["Owner of", (user) => h("code", user.owner), "wide"],
    ["State", (user) => (user.disabled_at ? tag("disabled") : tag("good"))],
    ["", (user) => actions(user, reload)],
  ],
  empty: [h("h2", "No users yet"), h("p", "Make an account for somebody; with --admin it sees keys, users and workers too:"), h("pre", { tabIndex: 0 }, "runwell users create you@example.com --admin")],
});

function actions(user, reload) {
  const turn = (word, done) => attempt(async () => (await post(`/users/${user.id}/${word}`), reload()), done);
  if (user.disabled_at) return h("span.buttons", h("button", { type: "button", onclick: () => turn("enable", "They can sign in again.") }, "Enable"));
  return h("span.buttons",
    h("button", { type: "button", onclick: () => attempt(() => call("DELETE", `/users/${user.id}/sessions`), ({ ended }) => `${ended} sessions ended.`) }, "Sign out everywhere"),
    h("button.quiet", { type: "button", onclick: async () => {
      if (await sure(`Disable ${user.email}?`, "All sessions end. Runs and keys stay.", "Leave it", "Disable")) await turn("disable", "They cannot sign in any more.");
    } }, "Disable …"));
}
