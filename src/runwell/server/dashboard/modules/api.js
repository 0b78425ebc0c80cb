// The native API, as any client of it would ask. A page of this server needs no key: its cookie, or
// local mode, says who asks.

import { say } from "./dom.js";
import { clock, now } from "./words.js";

/** What the server refused, or that it could not be reached. */
export class Problem extends Error {
  constructor(status, code, detail, hint, after = null) {
    super(detail);
    // `after`: in how many seconds the server wants to be asked again.
    Object.assign(this, { status, code, hint, after });
  }
}

export const UNREACHED = "The server does not answer.";

export async function call(method, path, body, { headers = {}, signal } = {}) {
  const options = { method, headers: { accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
    // An answer that is cut off in the middle is none.
    if (answer.ok) return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", UNREACHED, "It may be starting again. This page goes on by itself when it is back.");
  }
  throw await problemOf(answer);
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);

export async function problemOf(answer) {
  if (answer.status === 401) signIn();
  const said = await answer.json().catch(() => ({}));
  return new Problem(answer.status, said.code ?? "http", said.detail ?? `The server answered ${answer.status}.`, said.hint ?? "", Number(answer.headers.get("retry-after")) || null);
}

function signIn() {
  const here = location.pathname + location.search;
  location.assign(`/ui/sign-in?next=${encodeURIComponent(here)}`);
}

/** Resolves after a time, or at once when the signal aborts or, unless `patient`, the page is seen again. */
export function pause(ms, signal, patient = false) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const seen = () => document.visibilityState === "visible" && done();
    const timer = setTimeout(done, ms);
    if (!patient) {
      document.addEventListener("visibilitychange", seen);
      addEventListener("online", done);
    }
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** Resolves when somebody looks at the page. */
export async function visible(signal) {
  while (document.visibilityState === "hidden" && !signal?.aborted) await pause(60_000, signal);
}

/** Ms to wait after so many failures in a row. No two pages come back at once. */
export const backOff = (failures) => Math.min(100 * 2 ** failures, 8_000) * (0.5 + Math.random());

/** The server failed so often in a row: tell the reader, unless it is the first time and may pass, and say for
 * how many ms to leave it alone. */
export function trouble(problem, failures, tell = true) {
  const { after } = problem;
  const wait = after ? 1_000 * (after + Math.random()) : backOff(failures);
  if (tell && (after || failures > 1)) connection(`${problem.message} ${after ? `This page goes on at ${clock(now() + wait)}.` : "Trying again …"}`);
  return { wait, patient: Boolean(after) };
}

/** What is said over every view; nothing when all is well. */
export function connection(text = "") {
  const place = document.getElementById("connection");
  place.hidden = !text;
  say(place, text);
}

/** Ask again and again: `work` says in how many ms it wants to be called next. Nothing is asked while nobody
 * looks. */
export async function poll(signal, work) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    let wait, patient;
    try {
      wait = await work();
      if (failures) {
        connection();
        // Whoever else waits for the server need not any longer.
        dispatchEvent(new Event("online"));
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      if (error.status && error.status !== 429 && error.status < 500) throw error;
      ({ wait, patient } = trouble(error, ++failures));
    }
    await pause(wait, signal, patient);
  }
}
