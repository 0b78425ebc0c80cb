// The frame around the views: which one is shown, the keyboard, the theme, what is said aloud.

import { connection, Problem } from "./api.js";
import { fill, h } from "./dom.js";
import { notice, startKeys } from "./keyboard.js";
import { setNow, tickTimes } from "./words.js";
import * as agents from "./agents.js";
import * as callbacks from "./callbacks.js";
import * as keys from "./api_keys.js";
import * as run from "./run.js";
import * as runs from "./runs.js";
import * as schedules from "./schedules.js";
import * as threads from "./threads.js";
import * as users from "./users.js";
import * as workers from "./workers.js";

const VIEWS = [
  [/^\/ui\/$/, "Runs", runs],
  [/^\/ui\/runs\/([^/]+)$/, "Run", run, "/ui/"],
  [/^\/ui\/agents(?:\/([^/]+))?$/, "Agents", agents],
  [/^\/ui\/threads(?:\/([^/]+))?$/, "Threads", threads],
  [/^\/ui\/schedules$/, "Schedules", schedules],
  [/^\/ui\/callbacks$/, "Callbacks", callbacks],
  [/^\/ui\/workers$/, "Workers", workers],
  [/^\/ui\/keys$/, "Keys", keys],
  [/^\/ui\/users$/, "Users", users],
];

// Whoever leaves a view does not want to hear that what it was asking for was given up; but whatever else was
// refused is told.
addEventListener("unhandledrejection", (event) => {
  const { reason } = event;
  if (reason?.name === "AbortError") return event.preventDefault();
  if (!(reason instanceof Problem)) return;
  event.preventDefault();
  notice(`${reason.message} ${reason.hint ?? ""}`, "bad");
});

const seed = JSON.parse(document.getElementById("seed").textContent);
setNow(seed.now);
const main = document.getElementById("main");
const shown = { leave: new AbortController(), first: seed.first, keys: {} };

/** What a view works with. */
function context(signal) {
  return {
    signal,
    may: (scope) => seed.scopes.includes(scope) || seed.scopes.includes("admin"),
    via: seed.via,
    owner: seed.owner,
    first: shown.first,
    go,
    title: (text) => (document.title = `${text} · Runwell`),
    keys: (map) => (shown.keys = map),
    fault: (error) => tell(main, error),
  };
}

async function show() {
  shown.leave.abort();
  shown.leave = new AbortController();
  shown.keys = {};
  connection();
  const { signal } = shown.leave;
  const [pattern, title, view, current] = VIEWS.find(([each]) => each.test(location.pathname)) ?? [];
  if (!pattern) return location.reload();
  const path = current ?? location.pathname.split("/").slice(0, 3).join("/");
  for (const link of document.querySelectorAll("#nav a[data-key]")) {
    if (link.getAttribute("href") === path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${title} · Runwell`;
  try {
    const given = context(signal);
    shown.first = undefined;
    const id = pattern.exec(location.pathname)[1];
    await view.show(main, given, id === undefined ? undefined : decodeURIComponent(id));
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    // Markdown and the chart are fetched when they are first wanted, and an updated server has other files.
    if (/import/i.test(error.message) && error instanceof TypeError) {
      error = new Problem(0, "updated", "This page is of another version of the server.", "Reload it.");
    }
    tell(main, error);
    if (!(error instanceof Problem)) console.error(error);
  }
}

function tell(place, error) {
  const known = error instanceof Problem;
  fill(place, h("div.view", h("h1", "This cannot be shown"), h("div.fault", { role: "alert" },
    h("p", known ? error.message : "The page made a mistake."),
    h("p", known ? error.hint : String(error.message)),
    h("p", h("button", { type: "button", onclick: show }, "Try again"), " ", h("a", { href: "/ui/" }, "Go to the runs")))));
}

export function go(path) {
  history.pushState(null, "", new URL(path, location.href));
  closeMenu();
  show();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(link.href);
  const hash = url.hash && url.pathname === location.pathname && url.search === location.search;
  if (url.origin !== location.origin || hash || link.target || !VIEWS.some(([each]) => each.test(url.pathname))) return;
  event.preventDefault();
  go(url);
});
addEventListener("popstate", show);

const menu = document.querySelector(".menu");
const side = document.querySelector(".side");
function closeMenu() {
  side.classList.remove("open");
  menu.setAttribute("aria-expanded", "false");
}
menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(side.classList.toggle("open"))));

const themes = ["system", "light", "dark"];
const themeButton = document.querySelector("[data-do=theme]");
function theme(turn) {
  const at = document.documentElement.dataset;
  const next = themes[(Math.max(themes.indexOf(at.theme), 0) + turn) % themes.length];
  if (next === "system") delete at.theme;
  else at.theme = next;
  themeButton.lastElementChild.textContent = `Theme: ${next}`;
  try {
    if (next === "system") localStorage.removeItem("runwell-theme");
    else localStorage.setItem("runwell-theme", next);
  } catch (error) {
    console.info("The theme is not kept:", error.message);
  }
  if (turn) dispatchEvent(new Event("themechange"));
}
theme(0);
themeButton.addEventListener("click", () => theme(1));

startKeys({ go, keys: () => shown.keys });
setInterval(() => document.visibilityState === "visible" && tickTimes(document), 1_000);
show();
