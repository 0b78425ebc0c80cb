// What of the runs is shown. The URL is the only place where that stands.

import { get } from "./api.js";
import { fresh, h, icon } from "./dom.js";
import { STATUSES } from "./words.js";

const NAMES = ["status", "agent", "thread_id", "owner", "all_owners", "text", "since", "until"];
const LAST = [["Last hour", 3600], ["Last 24 hours", 86_400], ["Last 7 days", 604_800]];

/** The filters in a URL's query, and nothing else of it. */
export function wanted(search) {
  const given = new URLSearchParams(search);
  return new URLSearchParams([...given].filter(([name, value]) => NAMES.includes(name) && value));
}

export function filters(query, context) {
  const change = (edit) => {
    const next = new URLSearchParams(query);
    edit(next);
    const text = String(next);
    context.go(text ? `/ui/?${text}` : "/ui/", { replace: true });
  };
  const one = (name, value) => change((next) => {
    if (value) next.set(name, value);
    else next.delete(name);
    if (name === "owner") next.delete("all_owners");
  });
  const chips = h("div.chips", { role: "group", "aria-label": "Status" }, STATUSES.map((word) => chip(word, query, change)));
  const known = h("datalist", { id: "agent-names" });
  get("/agents", { signal: context.signal }).then(
    ({ agents }) => known.append(...agents.map((agent) => h("option", { value: agent.name }))), () => null);
  const rest = [...query.keys()].some((name) => name !== "status" && name !== "text");
  return h("form.filters", { role: "search", "aria-label": "Runs", onsubmit: (event) => event.preventDefault() },
    chips,
    input("Search in errors", "text", query, one, { type: "search", data: { search: "" } }),
    h("details.more", { open: rest || !matchMedia("(max-width: 720px)").matches }, h("summary", "More filters"), h("div.filters", known,
      input("Agent", "agent", query, one, { list: "agent-names" }),
      input("Thread", "thread_id", query, one, {}),
      context.may("admin") ? input("Owner", "owner", query, one, { placeholder: "you" }) : null,
      context.may("admin") ? everybody(query, change) : null,
      times(query, change))),
    [...query].length ? h("a", { href: "/ui/" }, "Clear filters") : null);
}

function chip(word, query, change) {
  const on = query.getAll("status").includes(word);
  return h("button.chip.status", {
    type: "button", class: word, "aria-pressed": String(on),
    onclick: () => change((next) => {
      const others = next.getAll("status").filter((each) => each !== word);
      next.delete("status");
      for (const each of on ? others : [...others, word]) next.append("status", each);
    }),
  }, icon(word), word);
}

function input(label, name, query, one, props) {
  const id = fresh("filter");
  const control = h("input", {
    type: "text", id, name, value: query.get(name) ?? "", autocomplete: "off", spellcheck: false, ...props,
    onchange: () => one(name, control.value.trim()),
    onkeydown: (event) => event.key === "Enter" && one(name, control.value.trim()),
  });
  if (props.list) control.setAttribute("list", props.list);
  return h("span.filter", h("label", { htmlFor: id }, label), control);
}

function everybody(query, change) {
  const id = fresh("filter");
  const box = h("input", { type: "checkbox", id, checked: query.get("all_owners") === "true", onchange: () => change((next) => {
    next.delete("owner");
    if (box.checked) next.set("all_owners", "true");
    else next.delete("all_owners");
  }) });
  return h("span.filter.check", box, h("label", { htmlFor: id }, "Everybody's"));
}

function times(query, change) {
  const since = moment("From", "since", query, change);
  const until = moment("To", "until", query, change);
  const lasts = LAST.map(([label, seconds]) => h("button", {
    type: "button",
    onclick: () => change((next) => {
      next.set("since", new Date(Date.now() - seconds * 1000).toISOString());
      next.delete("until");
    }),
  }, label));
  const set = query.get("since") || query.get("until");
  return h("details.times", h("summary", set ? "Time: set" : "Any time"), h("div.pop", lasts, since, until));
}

function moment(label, name, query, change) {
  const id = fresh("filter");
  const control = h("input", {
    type: "datetime-local", step: 1, id, value: local(query.get(name)),
    onchange: () => change((next) => (control.value ? next.set(name, new Date(control.value).toISOString()) : next.delete(name))),
  });
  return h("span.filter", h("label", { htmlFor: id }, label), control);
}

/** As the control wants it: in the reader's own time zone. */
function local(text) {
  const at = new Date(text ?? "");
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
