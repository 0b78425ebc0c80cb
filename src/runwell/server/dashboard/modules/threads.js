// Conversations: what was said in them over several runs, and going on.

import { get, post } from "./api.js";
import { field, fill, h, keep, whenThere } from "./dom.js";
import { keepFresh } from "./fresh.js";
import { aloud, attempt } from "./keyboard.js";
import { loadMarkdown } from "./markdown.js";
import { agentChoice, listing } from "./listing.js";
import { value } from "./transcript.js";
import { ago, oneLine, short, status } from "./words.js";

export const show = (main, context, id) => (id === undefined ? all(main, context) : one(main, context, id));

async function all(main, context) {
  const state = { threads: [], next: null };
  const more = h("button", { type: "button", hidden: true }, "Show older threads");
  const load = async () => {
    const asked = new URLSearchParams({ limit: 50, ...(state.next ? { cursor: state.next } : {}) });
    const page = await get(`/threads?${asked}`, { signal: context.signal });
    state.threads.push(...page.threads);
    state.next = page.next_cursor;
    more.hidden = !state.next;
    return state.threads;
  };
  const reload = await listing(main, {
    title: "Threads", about: "A thread keeps what several runs said to each other, in order.", load,
    columns: [
      ["Thread", (thread) => h("a", { href: `/ui/threads/${thread.id}` }, thread.title || short(thread.id))],
      ["Messages", (thread) => String(thread.messages), "number"],
      ["Last used", (thread) => ago(thread.updated_at), "number"],
    ],
    empty: [h("h2", "No threads yet"), h("p", "Give runs the same thread_id, and each sees what was said before:"),
      h("pre", { tabIndex: 0 }, `curl ${location.origin}/threads -d '{"title": "Tides"}' -H 'Content-Type: application/json'`)],
  });
  more.addEventListener("click", () => attempt(reload));
  main.firstChild.append(more);
}

async function one(main, context, id) {
  const [thread] = await Promise.all([get(`/threads/${id}`, { signal: context.signal }), loadMarkdown()]);
  context.title(thread.title || "Thread");
  const said = h("ol.parts");
  const busy = h("div.busy");
  const empty = h("p.hint", "Nothing has been said here yet.");
  const state = { messages: [], after: null, runs: "" };
  const draw = () => {
    keep(said, state.messages, (message) => message.position, (message) => h("li.part", { class: message.role === "user" ? "input" : "text" },
      h("h3", message.role, " ", h("small", ago(message.at)), message.run_id ? [" ", h("a", { href: `/ui/runs/${message.run_id}` }, short(message.run_id))] : null),
      h("div.content", value(contentOf(message)))));
    empty.hidden = state.messages.length > 0;
  };
  fill(main, h("div.view.thread", h("nav.crumbs", { "aria-label": "Where this is" }, h("a", { href: "/ui/threads" }, "Threads")),
    h("div.head", h("h1", thread.title || "Thread", " ", h("span.id", { title: thread.id }, short(thread.id))), h("a", { href: `/ui/?thread_id=${thread.id}` }, "Its runs")),
    said, empty, busy, context.may("runs:write") ? await goOn(thread, context) : null));
  let there;
  whenThere(main.firstChild, new Promise((resolve) => (there = resolve)));
  await keepFresh(context.signal, async () => {
    const first = state.after === null;
    let page;
    do {
      page = await get(`/threads/${id}/messages?after=${state.after ?? 0}`, { signal: context.signal });
      state.messages.push(...page.messages);
      state.after = page.messages.at(-1)?.position ?? state.after ?? 0;
    } while (page.next_after !== null);
    draw();
    const newest = state.messages.at(-1);
    if (!first && newest !== state.newest) aloud(`${newest.role}: ${oneLine(contentOf(newest))}`);
    state.newest = newest;
    there();
    const query = ["queued", "running", "waiting"].map((word) => `status=${word}`).join("&");
    const { runs } = await get(`/runs?thread_id=${thread.id}&limit=5&output=false&${query}`, { signal: context.signal });
    const drawn = runs.map((run) => run.id + run.status).join();
    if (drawn !== state.runs) {
      state.runs = drawn;
      fill(busy, runs.map((run) => h("p", status(run.status), " ", h("a", { href: `/ui/runs/${run.id}` }, `${run.agent} ${short(run.id)}`))));
    }
  }).done;
}

/** The words of a message that is made of parts. */
function contentOf({ content }) {
  if (!Array.isArray(content)) return content;
  const texts = content.map((part) => (part?.type === "text" && typeof part.text === "string" ? part.text : null));
  return texts.includes(null) ? content : texts.join("\n");
}

async function goOn(thread, context) {
  const agent = await agentChoice(context.signal);
  const text = h("textarea", { rows: 3, required: true });
  const form = h("form.card", { "aria-label": "Go on", onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      await post("/runs", { agent: agent.value, input: text.value, thread_id: thread.id });
      text.value = "";
    }, "Sent.");
  }, onkeydown: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.requestSubmit() },
  h("div.row", field("Agent", agent)), field("Message", text, "Ctrl+Enter sends it."), h("p.buttons", h("button.primary", { type: "submit" }, "Send")));
  return form;
}
