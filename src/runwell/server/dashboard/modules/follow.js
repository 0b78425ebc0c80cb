// A run's log as it grows: every event once, in order, whatever happens to the connection. The number of
// the last event is all that is remembered; each new connection goes on after it.

import { connection, pause, Problem, problemOf, visible } from "./api.js";

const QUIET = 45_000; // ms without a byte, keep-alives included: a laptop slept, or the wire is cut

/** Calls `take(events)` until the run has ended or `signal` aborts. Throws the `Problem` of a log that cannot
 * be read. */
export async function follow(runId, signal, take) {
  const cursor = { seq: 0, final: false };
  let failures = 0;
  while (!signal.aborted && !cursor.final) {
    await visible(signal);
    if (signal.aborted) return;
    const before = cursor.seq;
    try {
      await connect(runId, cursor, signal, take);
      connection(null);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && [401, 403, 404, 410, 422].includes(error.status)) throw error;
      connection(error.status === 429 ? null : new Problem(0, "unreachable", "The connection is lost."));
    }
    failures = cursor.seq > before ? 0 : failures + 1;
    if (!cursor.final) await pause(Math.min(100 * 2 ** failures, 5_000), signal);
  }
}

async function connect(runId, cursor, signal, take) {
  const own = new AbortController();
  const stop = () => own.abort();
  const hide = () => document.visibilityState === "hidden" && rest();
  // Browsers open six connections to one server: a page that nobody looks at gives its own back.
  let resting = null;
  const rest = () => (resting ??= setTimeout(() => document.visibilityState === "hidden" && stop(), 10_000));
  signal.addEventListener("abort", stop);
  document.addEventListener("visibilitychange", hide);
  let quiet = setTimeout(stop, QUIET);
  try {
    const headers = { accept: "text/event-stream" };
    if (cursor.seq) headers["last-event-id"] = String(cursor.seq);
    const answer = await fetch(`/runs/${runId}/events`, { headers, signal: own.signal });
    if (answer.status === 204) {
      cursor.final = true;
      return;
    }
    if (!answer.ok) throw await problemOf(answer);
    connection(null);
    for await (const events of frames(answer.body)) {
      clearTimeout(quiet);
      quiet = setTimeout(stop, QUIET);
      const news = events.filter((event) => event.seq > cursor.seq);
      if (!news.length) continue;
      cursor.seq = news.at(-1).seq;
      cursor.final = ["run.succeeded", "run.failed", "run.cancelled"].includes(news.at(-1).type);
      take(news);
    }
  } finally {
    clearTimeout(quiet);
    clearTimeout(resting);
    signal.removeEventListener("abort", stop);
    document.removeEventListener("visibilitychange", hide);
    own.abort();
  }
}

/** The events of server-sent events, as many at a time as came together. */
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    yield parts.flatMap((part) => {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      return data ? [JSON.parse(data.slice(6))] : [];
    });
  }
}
