// A log of many steps as the dashboard's own module puts it together: what the tree looks like, and how often
// the bars were looked at to make it.
import { build } from "esbuild";

const module = "../../src/runwell/server/dashboard/modules/log.js";
const made = await build({ entryPoints: [module], bundle: true, format: "esm", write: false });
const { Log, tree } = await import(`data:text/javascript,${encodeURIComponent(made.outputFiles[0].text)}`);

/** A run of two attempts: in each, steps with a step and a tool call in each of them. */
function logOf(steps) {
  const log = new Log();
  let seq = 0;
  const tell = (type, data) => log.take([{ seq: ++seq, at: `2026-01-01T00:00:00.${String(seq).padStart(6, "0")}Z`, type, data }]);
  tell("run.created", { agent: "a", input: null });
  for (const attempt of [1, 2]) {
    tell("attempt.started", { attempt, worker: "w" });
    for (let index = 0; index < steps; index++) {
      const key = `outer ${attempt} ${index}`;
      tell("step.started", { key, name: "outer" });
      tell("step.started", { key: `inner ${attempt} ${index}`, name: "inner", parent: key });
      tell("output.tool_called", { call_id: `call ${attempt} ${index}`, name: "search", arguments: {}, in_step: key });
    }
    if (attempt === 1) tell("attempt.lost", { error: null });
  }
  tell("step.started", { key: "lost", name: "lost", parent: "what is not in the log" });
  return log;
}

function lookedAt(log) {
  let reads = 0;
  log.bars = log.bars.map((bar) => new Proxy(bar, { get: (target, name) => (reads++, target[name]) }));
  const rows = tree(log);
  return { rows: rows.length, reads };
}

const shape = tree(logOf(2)).map(({ bar, depth }) => `${"  ".repeat(depth)}${bar.kind} ${bar.key}`);
console.log(JSON.stringify({ shape, small: lookedAt(logOf(200)), large: lookedAt(logOf(1600)) }));
