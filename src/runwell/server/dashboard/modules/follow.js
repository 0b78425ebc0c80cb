// A run's log as it grows: every event once, in order, whatever happens to the connection. The number of
// the last event is all that is remembered; each new connection goes on after it.

import { backOff, connection, pause, Problem, problemOf, trouble, UNREACHED, visible } from "./api.js";

const QUIET = 45_000; // ms without a byte, keep-alives included: a laptop slept, or the wire is cut
const REST = 10_000; // ms that a page which nobody looks at keeps its connection

/** Calls `take(events)` until the run has ended or `signal` aborts. Throws the `Problem` of a log that cannot
 * be read. */
export async function follow(runId, signal, take) {
  const cursor = { seq: 0, final: false };
  await listen(signal, async (own, alive) => {
    const headers = cursor.seq ? { "last-event-id": String(cursor.seq) } : {};
    await frames(`/runs/${runId}/events`, headers, own, alive, (events) => {
      const news = events.filter((event) => event.seq > cursor.seq);
      if (!news.length) return;
      cursor.seq = news.at(-1).seq;
      cursor.final = ["run.succeeded", "run.failed", "run.cancelled"].includes(news.at(-1).type);
      take(news);
    }) || (cursor.final = true);
    return cursor.final;
  });
}

/** Have `connect(signal, alive)` hold a connection while somebody looks, again and again, until it returns
 * true. It calls `alive()` when it is answered, and `alive(true)` with every byte. Throws the `Problem` of what
 * will not be granted; what passes is told, unless `tell` is false. */
export async function listen(signal, connect, tell = true) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    const own = new AbortController();
    const stop = () => own.abort();
    const alive = (bytes) => {
      clearTimeout(quiet);
      quiet = setTimeout(stop, QUIET);
      if (tell && failures) connection();
      if (bytes) failures = 0;
    };
    // Browsers open six connections to one server: a page that nobody looks at gives its own back.
    let resting;
    const hide = () => {
      clearTimeout(resting);
      if (document.visibilityState === "hidden") resting = setTimeout(stop, REST);
    };
    let quiet = setTimeout(stop, QUIET);
    let next = { wait: 0 };
    signal.addEventListener("abort", stop);
    document.addEventListener("visibilitychange", hide);
    try {
      if (await connect(own.signal, alive)) return;
      next.wait = backOff(failures++);
    } catch (error) {
      if (signal.aborted) return;
      // Given back by the page itself: that is no loss.
      if (!own.signal.aborted) {
        if (error instanceof Problem && error.status && error.status !== 429 && error.status < 500) throw error;
        next = trouble(error instanceof Problem ? error : new Problem(0, "unreachable", UNREACHED), ++failures, tell);
      }
    } finally {
      clearTimeout(quiet);
      clearTimeout(resting);
      signal.removeEventListener("abort", stop);
      document.removeEventListener("visibilitychange", hide);
      own.abort();
    }
    await pause(next.wait, signal, next.patient);
  }
}

/** Server-sent events, as many at a time as came together, until there are no more; false when there is nothing to
 * come. */
export async function frames(path, headers, signal, alive, take) {
  const answer = await fetch(path, { headers: { accept: "text/event-stream", ...headers }, signal });
  if (answer.status === 204) return false;
  if (!answer.ok) throw await problemOf(answer);
  alive();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return true;
    alive(true);
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    take(parts.flatMap((part) => {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      return data ? [JSON.parse(data.slice(6))] : [];
    }));
  }
}
