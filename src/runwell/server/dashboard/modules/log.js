// What a log tells: a fold over its events, in order, each once. No clock, nothing asked.

import { instant } from "./words.js";

const micro = (value) => value / 1000;

export class Log {
  constructor() {
    this.events = [];
    this.created = null;
    this.input = undefined;
    this.bars = []; // { kind, name, key, parent, attempt, start, end, outcome, ... } in the order they began
    this.parts = []; // what was said and still stands
    this.taken = []; // what an attempt said and a later one took back
    this.usage = []; // { model, ... } per call
    this.end = null;
    this.failing = null; // the step that failed last
    this.question = null;
    this.open = new Map(); // bars under way, by kind and key
    this.last = new Map(); // the newest part of each step
    this.calls = new Map(); // tool calls that stand, by id
    this.attempt = 0;
    this.finished = new Set();
  }

  take(events) {
    for (const event of events) {
      this.events.push(event);
      const told = TELL[event.type];
      if (told) told(this, event.data, instant(event.at), event);
    }
  }

  begin(kind, key, start, more) {
    const bar = { kind, key, name: key, start, end: null, outcome: "running", parent: null, attempt: this.attempt, ...more };
    this.bars.push(bar);
    this.open.set(`${kind} ${key}`, bar);
    return bar;
  }

  finish(kind, key, end, outcome, more = {}) {
    const bar = this.open.get(`${kind} ${key}`);
    this.open.delete(`${kind} ${key}`);
    return bar && Object.assign(bar, { end, outcome, ...more });
  }

  /** The attempt is over, and with it whatever was under way in it. */
  letGo(end, outcome, more) {
    for (const [name, bar] of [...this.open]) {
      if (bar.kind === "attempt") this.finish("attempt", bar.key, end, outcome, more);
      else this.finish(bar.kind, bar.key, end, bar.kind === "queue" || outcome === "succeeded" ? "done" : "left");
      this.open.delete(name);
    }
  }

  say(kind, step, at, more) {
    const part = { kind, step: step ?? null, at, attempt: this.attempt, ...more };
    this.parts.push(part);
    this.last.set(part.step, part);
    return part;
  }

  grow(kind, data, at) {
    const newest = this.last.get(data.in_step ?? null);
    // Concurrent steps speak at once: what one says goes on where it stopped.
    if (newest?.kind === kind) newest.text += data.text;
    else this.say(kind, data.in_step, at, { text: data.text });
  }
}

function stepEnded(log, data, at, outcome, more) {
  const key = `step ${data.key}`;
  if (!log.open.has(key)) log.begin("step", data.key, micro(data.started_at), { name: data.name, work: data.kind ?? "code", parent: data.parent ?? null });
  return log.finish("step", data.key, at, outcome, more);
}

function ended(outcome) {
  return (log, data, at, event) => {
    log.letGo(at, outcome, data.error ? { error: data.error } : {});
    log.end = { status: outcome, at, seq: event.seq, ...data };
    log.question = null;
  };
}

function attemptOver(outcome) {
  return (log, data, at) => {
    log.letGo(at, outcome, { error: data.error, retryAt: data.retry_at ? micro(data.retry_at) : null, worker: data.worker });
    log.begin("queue", `queue ${log.attempt}`, at, { name: "Queued again" });
  };
}

const TELL = {
  "run.created": (log, data, at) => {
    log.created = { at, ...data };
    log.input = data.input;
    for (const step of data.steps ?? []) log.finished.add(step.key);
    log.begin("queue", "queue 0", at, { name: "Queued" });
  },
  "run.waiting": (log, data, at) => {
    log.letGo(at, "asked");
    log.question = data.question;
    log.begin("wait", data.question.key, at, { name: "Waiting for an answer", question: data.question });
    log.say("question", null, at, { question: data.question, answer: undefined });
  },
  "run.resumed": (log, data, at) => {
    log.finish("wait", data.key, at, "answered", { answer: data.answer });
    const asked = log.parts.findLast((part) => part.kind === "question" && part.question.key === data.key);
    if (asked) asked.answer = data.answer;
    log.question = null;
    log.begin("queue", `queue ${log.attempt}`, at, { name: "Queued again" });
  },
  "run.succeeded": ended("succeeded"),
  "run.failed": ended("failed"),
  "run.cancelled": ended("cancelled"),
  "attempt.started": (log, data, at) => {
    log.letGo(at, "done");
    log.attempt = data.attempt;
    log.begin("attempt", String(data.attempt), at, { name: `Attempt ${data.attempt}`, worker: data.worker, attempt: data.attempt });
  },
  "attempt.failed": attemptOver("failed"),
  "attempt.lost": attemptOver("lost"),
  "attempt.handed_back": attemptOver("handed back"),
  "step.started": (log, data, at) => {
    log.begin("step", data.key, at, { name: data.name, work: data.kind ?? "code", parent: data.parent ?? null });
  },
  "step.finished": (log, data, at) => {
    log.finished.add(data.key);
    stepEnded(log, data, at, "succeeded", { output: data.output });
  },
  "step.failed": (log, data, at) => {
    log.failing = stepEnded(log, data, at, "failed", { error: data.error });
  },
  "output.text_delta": (log, data, at) => log.grow("text", data, at),
  "output.reasoning_delta": (log, data, at) => log.grow("reasoning", data, at),
  "output.message_added": (log, data, at) => log.say("message", data.in_step, at, { role: data.role, content: data.content }),
  "output.tool_called": (log, data, at) => {
    const part = log.say("tool", data.in_step, at, { id: data.call_id, name: data.name, arguments: data.arguments, result: undefined, failed: false });
    log.calls.set(data.call_id, part);
    log.begin("call", data.call_id, at, { name: data.name, work: "tool", parent: data.in_step ?? null, arguments: data.arguments });
  },
  "output.tool_returned": (log, data, at) => {
    log.finish("call", data.call_id, at, data.failed ? "failed" : "succeeded", { output: data.result });
    const part = log.calls.get(data.call_id);
    if (part) Object.assign(part, { result: data.result, failed: Boolean(data.failed), took: at - part.at });
    else log.say("tool", data.in_step, at, { id: data.call_id, name: data.name, result: data.result, failed: Boolean(data.failed) });
  },
  "output.usage_counted": (log, data) => log.usage.push({ model: data.model ?? null, step: data.in_step ?? null, ...data.usage }),
  "output.restarted": (log, data) => {
    // What was said in a finished step stands; all else is void, and said again below if it still holds.
    const stands = (part) => part.kind === "question" || log.finished.has(part.step);
    const void_ = log.parts.filter((part) => !stands(part));
    if (void_.length) log.taken.push({ attempt: data.attempt, parts: void_ });
    log.parts = log.parts.filter(stands);
    log.last.clear();
    log.calls.clear();
    for (const part of log.parts) {
      log.last.set(part.step, part);
      if (part.kind === "tool") log.calls.set(part.id, part);
    }
  },
};

/** The bars as a tree, flat: queue, attempts and waits as they came, each with what went on inside it. */
export function tree(log) {
  // A tool call that is a step already is shown once, as the step.
  const steps = new Set(log.bars.filter((bar) => bar.kind === "step" && bar.work === "tool").map((bar) => bar.name));
  const tops = [];
  const inside = new Map(); // by attempt and parent
  for (const bar of log.bars) {
    if (bar.kind !== "step" && bar.kind !== "call") tops.push(bar);
    else if (bar.kind === "step" || !steps.has(bar.name)) {
      const place = `${bar.attempt} ${bar.parent ?? ""}`;
      if (!inside.has(place)) inside.set(place, []);
      inside.get(place).push(bar);
    }
  }
  const rows = [];
  const add = (bar, depth) => {
    rows.push({ bar, depth });
    if (bar.kind === "call") return;
    const place = `${bar.attempt} ${bar.kind === "attempt" ? "" : bar.key}`;
    const children = inside.get(place) ?? [];
    inside.delete(place);
    for (const child of children) add(child, depth + 1);
  };
  for (const bar of tops) add(bar, 0);
  // What has no place, because what it was in is not in the log.
  for (const bars of inside.values()) for (const bar of bars) rows.push({ bar, depth: 1 });
  return rows;
}
