// What of the runs is shown. The URL is the only place where that stands.

import { get } from "./api.js";
import { fresh, h, icon, say } from "./dom.js";
import { now, STATUSES } from "./words.js";

const NAMES = ["status", "agent", "thread_id", "owner", "all_owners", "text", "since", "until"];
const LAST = [["Last hour", 3600], ["Last 24 hours", 86_400], ["Last 7 days", 604_800]];

/** The filters in a URL's query, and nothing else of it. */
export function wanted(search) {
  const given = new URLSearchParams(search);
  return new URLSearchParams([...given].filter(([name, value]) => NAMES.includes(name) && value));
}

/** The bar over the list. A change of it is written to `query` and to the URL, and `changed` is told; the bar stays
 * as it is, with the focus where it was. */
export function filters(query, context, changed) {
  const known = h("datalist", { id: "agent-names" });
  get("/agents", { signal: context.signal }).then(
    ({ agents }) => known.append(...agents.map((agent) => h("option", { value: agent.name }))), () => null);
  const rest = [...query.keys()].some((name) => name !== "status" && name !== "text");
  const clear = h("a", { href: "/ui/" }, "Clear filters");
  const shown = [];
  const bar = {
    query,
    /** Keep what `shows` the filters true. */
    show(shows) {
      shown.push(shows);
      shows();
    },
    change(edit) {
      const before = String(query);
      edit();
      const text = String(query);
      if (text === before) return;
      history.replaceState(null, "", text ? `/ui/?${text}` : "/ui/");
      for (const each of shown) each();
      changed();
    },
  };
  bar.show(() => (clear.hidden = !query.size));
  return h("form.filters", { role: "search", "aria-label": "Runs", onsubmit: (event) => event.preventDefault() },
    h("div.chips", { role: "group", "aria-label": "Status" }, STATUSES.map((word) => chip(word, bar))),
    input("Search in errors", "text", bar, { type: "search", data: { search: "" } }),
    h("details.more", { open: rest || !matchMedia("(max-width: 720px)").matches }, h("summary", "More filters"), h("div.filters", known,
      input("Agent", "agent", bar, { list: "agent-names" }),
      input("Thread", "thread_id", bar, {}),
      context.may("admin") ? [input("Owner", "owner", bar, { placeholder: "you" }), everybody(bar)] : null,
      times(bar))),
    clear);
}

function chip(word, { query, change, show }) {
  const button = h("button.chip.status", {
    type: "button", class: word,
    onclick: () => change(() => {
      const all = query.getAll("status");
      if (all.includes(word)) query.delete("status", word);
      else query.append("status", word);
    }),
  }, icon(word), word);
  show(() => button.setAttribute("aria-pressed", String(query.has("status", word))));
  return button;
}

/** `name` is as the control says; a change of it by another one shows in it. */
function control(name, { query, change, show }, props, read, write) {
  const made = h("input", { id: fresh("filter"), autocomplete: "off", ...props, onchange: () => take() });
  const take = () => change(() => {
    const value = read(made);
    if (value) query.set(name, value);
    else query.delete(name);
    if (value && name === "owner") query.delete("all_owners");
    if (value && name === "all_owners") query.delete("owner");
  });
  made.addEventListener("keydown", (event) => event.key === "Enter" && take());
  show(() => made !== document.activeElement && write(made, query.get(name) ?? ""));
  return made;
}

const labelled = (label, made) => h("span.filter", h("label", { htmlFor: made.id }, label), made);

function input(label, name, bar, props) {
  return labelled(label, control(name, bar, { type: "text", name, spellcheck: false, ...props },
    (made) => made.value.trim(), (made, value) => (made.value = value)));
}

function everybody(bar) {
  const box = control("all_owners", bar, { type: "checkbox" }, (made) => made.checked && "true", (made, value) => (made.checked = value === "true"));
  return h("span.filter.check", box, h("label", { htmlFor: box.id }, "Everybody's"));
}

function times(bar) {
  const { query, change, show } = bar;
  const title = h("summary");
  show(() => say(title, query.has("since") || query.has("until") ? "Time: set" : "Any time"));
  return h("details.times", title, h("div.pop", LAST.map(([label, seconds]) => h("button", {
    type: "button",
    onclick: () => change(() => {
      query.set("since", new Date(now() - seconds * 1000).toISOString());
      query.delete("until");
    }),
  }, label)), moment("From", "since", bar), moment("To", "until", bar)));
}

function moment(label, name, bar) {
  return labelled(label, control(name, bar, { type: "datetime-local", step: 1 },
    (made) => made.value && new Date(made.value).toISOString(), (made, value) => (made.value = local(value))));
}

/** As the control wants it: in the reader's own time zone. */
function local(text) {
  const at = new Date(text ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
