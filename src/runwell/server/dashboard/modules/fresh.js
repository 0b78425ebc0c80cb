// Lists that are as the server has them: it says that runs changed, and the list is asked for again.

import { poll, Problem } from "./api.js";
import { frames, listen } from "./follow.js";

const CALM = 1_000; // ms between two looks while the server tells nothing, because it cannot or will not
const LONGEST = 5_000; // without a look: others' runs, which are not told, change the places in the queue

/** Calls `look()` now and after every change of the runs of whom `whose()` says, as long as somebody looks. Its
 * `ring()` makes it look at once. */
export function keepFresh(signal, look, whose = () => "") {
  const state = { live: false, due: true, took: 0, wake: () => null, drop: () => null, of: "" };
  const ring = () => {
    if (state.of !== whose()) state.drop();
    state.due = true;
    state.wake();
  };
  listen(signal, async (own, alive) => {
    const one = new AbortController();
    state.drop = () => one.abort();
    own.addEventListener("abort", state.drop);
    state.of = whose();
    try {
      await frames(`/runs/changes?${state.of}`, {}, one.signal, (bytes) => {
        alive(bytes);
        // What changed while nobody listened is not told.
        if (!state.live) ring();
        state.live = true;
      }, (told) => told.length && ring());
    } catch (error) {
      // Others' runs are listened to now.
      if (own.aborted || !one.signal.aborted) throw error;
    } finally {
      state.live = false;
      state.wake();
    }
  }, false).catch((error) => {
    if (!(error instanceof Problem)) throw error;
  });
  signal.addEventListener("abort", () => state.wake());
  const done = poll(signal, async () => {
    if (!state.due) await new Promise((resolve) => setTimeout((state.wake = resolve), state.live ? LONGEST : Math.max(CALM, 20 * state.took)));
    if (signal.aborted) return 0;
    state.due = false;
    const asked = performance.now();
    try {
      await look();
    } catch (error) {
      state.due = true;
      throw error;
    }
    // However slow the answers are, and however much changes: no page keeps the server busy.
    state.took = performance.now() - asked;
    return 4 * state.took;
  });
  return { done, ring };
}
