// What the run was asked, said, called and got back, in order, as it happens.

import { eachFrame, h, icon, keep, say } from "./dom.js";
import { Growing, markdown } from "./markdown.js";
import { trace } from "./waterfall.js";
import { fine, json, oneLine, plural } from "./words.js";

const MOST = 300;

export function transcript(log) {
  const parts = h("ol.parts");
  const taken = h("div.taken");
  const cut = h("p.hint", { hidden: true });
  const empty = h("p.hint", "Nothing has been said yet. Text appears here as it is written.");
  const element = h("section.transcript", { "aria-label": "Transcript" }, cut, parts, empty, taken);
  const draw = () => {
    // Whoever looks at the end keeps looking at the end while it moves on.
    const page = document.documentElement;
    const atEnd = !log.end && page.scrollTop > 0 && page.scrollTop + innerHeight >= page.scrollHeight - 40;
    const all = [...beginning(log), ...log.parts, ...ending(log)];
    const shown = all.slice(-MOST);
    cut.hidden = shown.length === all.length;
    say(cut, `${plural(all.length - shown.length, "earlier part")} left out here; the log has all of them.`);
    keep(parts, shown, (part) => part.key ?? part, make, update);
    empty.hidden = log.parts.length > 0 || Boolean(log.end);
    keep(taken, log.taken, (each) => each, voided);
    if (atEnd) page.scrollTop = page.scrollHeight;
  };
  return { element, draw: eachFrame(draw) };
}

function* beginning(log) {
  if (log.created) yield { kind: "input", key: "input", value: log.input, agent: log.created.agent };
}

function* ending(log) {
  if (log.end?.status === "failed") yield { kind: "failure", key: "end", error: log.end.error };
  else if (log.end?.status === "succeeded" && !said(log, log.end.output)) yield { kind: "output", key: "end", value: log.end.output };
}

/** Whether the result is the text that was streamed, which need not be shown twice. */
function said(log, output) {
  if (output === null || output === undefined) return true;
  if (typeof output !== "string") return false;
  return log.parts.filter((part) => part.kind === "text").map((part) => part.text).join("").trim() === output.trim();
}

const TITLES = { input: "Input", output: "Result", failure: "Error", text: "Text", reasoning: "Reasoning", question: "Question", tool: "Tool call", message: "Message" };

function make(part) {
  const title = part.kind === "message" ? `Message of the ${part.role}` : part.kind === "tool" ? part.name : TITLES[part.kind];
  const content = h("div.content");
  const item = h("li.part", { class: part.kind }, h("h3", part.kind === "tool" ? icon("tool") : null, title, part.step ? h("small", ` in ${part.step}`) : null), content);
  if (part.kind === "input" || part.kind === "output" || part.kind === "message") content.append(value(part.value ?? part.content));
  else if (part.kind === "failure") content.append(h("p", h("strong", part.error.code), " ", part.error.message), trace(part.error) ?? "");
  else if (part.kind === "question") content.append(value(part.question.question));
  else if (part.kind === "text" || part.kind === "reasoning") {
    item.growing = new Growing();
    content.append(item.growing.element);
  } else if (part.kind === "tool") {
    content.append(h("div.beside", h("figure.document", h("figcaption", "Arguments"), h("pre", { tabIndex: 0 }, json(part.arguments ?? null))),
      h("figure.document.result", h("figcaption", "Result"), h("pre", { tabIndex: 0 }, "…"))));
  }
  return item;
}

function update(item, part) {
  if (item.growing) item.growing.show(part.text);
  else if (part.kind === "question" && part.answer !== undefined && !item.answered) {
    item.answered = item.querySelector(".content").appendChild(h("div.answer", h("h4", "Answer"), value(part.answer)));
  } else if (part.kind === "tool" && part.result !== undefined && item.result !== part) {
    item.result = part;
    const figure = item.querySelector(".result");
    figure.classList.toggle("bad", part.failed);
    say(figure.querySelector("figcaption"), `${part.failed ? "Failed" : "Result"}${part.took === undefined ? "" : ` after ${fine(part.took / 1000)}`}`);
    say(figure.querySelector("pre"), json(part.result));
  }
}

/** A document to be read: text as Markdown, all else as JSON. */
export function value(given, level) {
  if (typeof given === "string") return markdown(given, level);
  return h("pre.json", { tabIndex: 0 }, json(given ?? null));
}

function voided({ attempt, parts }) {
  const text = parts.map((part) => part.text ?? part.name ?? oneLine(part.content ?? "")).join(" ");
  return h("details", h("summary", `Taken back by attempt ${attempt}: ${plural(parts.length, "part")}`), h("p.hint", "An earlier attempt said this; the next one said something else."), h("pre", { tabIndex: 0 }, text));
}
