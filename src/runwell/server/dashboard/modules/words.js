// How things are said: instants, spans, numbers, states.

import { h, icon } from "./dom.js";

const NUMBER = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false });

export const STATUSES = ["queued", "running", "waiting", "succeeded", "failed", "cancelled"];
export const FINAL = new Set(["succeeded", "failed", "cancelled"]);

const skew = { ms: 0 };
/** The server's clock against this one's. */
export function setNow(microseconds) {
  skew.ms = microseconds / 1000 - Date.now();
}
/** Milliseconds since 1970, as the server counts them. */
export const now = () => Date.now() + skew.ms;

/** Milliseconds, with a fraction: the microseconds that `Date` would drop. */
export function instant(text) {
  const dot = text.indexOf(".");
  if (dot < 0) return Date.parse(text);
  return Date.parse(text.slice(0, dot) + "Z") + Number("0" + text.slice(dot, -1)) * 1000;
}

/** 0.42 s, 12 s, 3 min, 5 h, 2 d; seconds go in. */
export function span(seconds) {
  const s = Math.max(seconds, 0);
  if (s < 10) return `${s.toFixed(2)} s`;
  for (const [size, unit] of [[1, "s"], [60, "min"]]) if (s < size * 120) return `${Math.floor(s / size)} ${unit}`;
  return s < 3600 * 48 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

/** To the millisecond, for bars beside each other. */
export function fine(seconds) {
  if (seconds < 1) return `${Math.max(seconds * 1000, 0).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const s = Math.floor(seconds);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export const count = (number) => NUMBER.format(number);
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const money = (dollars) => (dollars ? `$${dollars < 0.01 ? dollars.toPrecision(2) : dollars.toFixed(2)}` : "–");

/** The time of day, with the day when it is another one. */
export function clock(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date(now()).toDateString();
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}
export const whole = (ms) => WHOLE.format(new Date(ms));

/** An element that says how long ago; `tickTimes` keeps it true. */
export function ago(text) {
  const at = instant(text);
  const element = h("time", { dateTime: text, title: whole(at), data: { ago: at } });
  tick(element);
  return element;
}
function tick(element) {
  const seconds = (now() - Number(element.dataset.ago)) / 1000;
  const said = seconds < 0 ? `in ${span(-seconds)}` : seconds < 1 ? "just now" : `${span(Math.floor(seconds)).replace(".00", "")} ago`;
  if (element.textContent !== said) element.textContent = said;
}
export function tickTimes(root) {
  for (const element of root.querySelectorAll("time[data-ago]")) tick(element);
}

/** A state by shape, word and colour. */
export function status(word, reason) {
  const said = reason && reason !== "error" && reason !== "requested" ? `${word}: ${reason.replaceAll("_", " ")}` : word;
  return h("span.status", { class: word }, icon(STATUSES.includes(word) ? word : "queued"), said);
}

/** The last digits: the first ones are the time, the same for all of a day. */
export const short = (id) => id.slice(-8);

export function json(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
export function oneLine(value, most = 200) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return (text ?? "").slice(0, most).replace(/\s+/g, " ");
}

/** The most telling sentence of a run. */
export function what(run) {
  if (run.error) return oneLine(run.error.message);
  if (run.question) return oneLine(`asks: ${oneLine(run.question.question)}`);
  if (run.status === "queued") {
    if (run.not_before && instant(run.not_before) > now()) return `not before ${clock(instant(run.not_before))}`;
    return run.queue_position === null ? "" : run.queue_position === 0 ? "next in line" : `${plural(run.queue_position, "run")} before it`;
  }
  if (run.status === "running" && run.cancel_requested_at) return "is being cancelled";
  if (run.status === "succeeded") return oneLine(run.preview ?? run.output ?? "");
  if (run.progress?.step) return oneLine(run.progress.step);
  return oneLine(run.steps.current ?? "");
}

/** Seconds it has taken, or is taking. */
export function took(run) {
  if (run.duration !== null) return run.duration;
  return run.started_at && !FINAL.has(run.status) ? (now() - instant(run.started_at)) / 1000 : null;
}
