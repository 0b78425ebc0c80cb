// The native API, as any client of it would ask. A page of this server needs no key: its cookie, or
// local mode, says who asks.

/** What the server refused, or that it could not be reached. */
export class Problem extends Error {
  constructor(status, code, detail, hint) {
    super(detail);
    Object.assign(this, { status, code, hint });
  }
}

const UNREACHED = "The server does not answer.";

export async function call(method, path, body, { headers = {}, signal } = {}) {
  const options = { method, headers: { accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", UNREACHED, "It may be starting again. This page goes on by itself when it is back.");
  }
  if (answer.status === 401) signIn();
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw await problemOf(answer);
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);

export async function problemOf(answer) {
  const said = await answer.json().catch(() => ({}));
  return new Problem(answer.status, said.code ?? "http", said.detail ?? `The server answered ${answer.status}.`, said.hint ?? "");
}

function signIn() {
  const here = location.pathname + location.search;
  location.assign(`/ui/sign-in?next=${encodeURIComponent(here)}`);
}

/** Resolves after a time, or at once when the signal aborts or the page is seen again. */
export function pause(ms, signal) {
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
    document.addEventListener("visibilitychange", seen);
    addEventListener("online", done);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** Resolves when somebody looks at the page. */
export async function visible(signal) {
  while (document.visibilityState === "hidden" && !signal?.aborted) await pause(60_000, signal);
}

let fault = null;
/** Tell the reader that the server is away, and that it is back. */
export function connection(problem) {
  if (Boolean(problem) === Boolean(fault)) return;
  fault = problem;
  const place = document.getElementById("connection");
  place.hidden = !problem;
  place.textContent = problem ? `${problem.message} Trying again …` : "";
}

/** Ask again and again: `work` says in how many ms it wants to be called next. Nothing is asked while nobody
 * looks. */
export async function poll(signal, work) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    let wait;
    try {
      wait = await work();
      failures = 0;
      connection(null);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      if (error.status === 0 || error.status >= 500) connection(error);
      else if (error.status !== 429) throw error;
      wait = Math.min(500 * 2 ** failures++, 8_000);
    }
    await pause(wait, signal);
  }
}
