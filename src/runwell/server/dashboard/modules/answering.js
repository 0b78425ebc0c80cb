// The form for a run that waits for a person.

import { post } from "./api.js";
import { h } from "./dom.js";
import { attempt } from "./keyboard.js";
import { schemaForm } from "./schema_form.js";
import { value } from "./transcript.js";
import { clock, instant } from "./words.js";

export function answering(run, done) {
  const { question, key, schema } = run.question;
  const form = schemaForm(schema ?? {}, { label: "Your answer" });
  const fault = h("p.fault", { role: "alert", hidden: true });
  const send = (answer) => attempt(async () => {
    await post(`/runs/${run.id}/answer`, { answer, key });
    done();
  }, "Answered. The run goes on.");
  const buttons = schema?.type === "boolean" ? [
    h("button.primary", { type: "button", onclick: () => send(true) }, "Yes"), h("button", { type: "button", onclick: () => send(false) }, "No"),
  ] : [h("button.primary", { type: "submit" }, "Send the answer")];
  return h("form.card.asking", { "aria-label": "Answer the question", onsubmit: (event) => {
    event.preventDefault();
    fault.hidden = true;
    try {
      send(form.read());
    } catch (error) {
      fault.hidden = false;
      fault.textContent = error.message;
      error.control?.focus();
    }
  } }, h("h2", "This run asks"), value(question, 3), schema?.type === "boolean" ? null : form.element, fault,
  h("p.buttons", buttons), run.expires_at ? h("p.hint", `It waits until ${clock(instant(run.expires_at))}.`) : h("p.hint", "It waits as long as it takes, and occupies no worker."));
}
