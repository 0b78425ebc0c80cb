// A form from a JSON Schema. What a schema says that a form cannot is edited as JSON; nothing is lost.

import { field, fresh, h } from "./dom.js";

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** `{ element, read() }`: `read` gives the value, or throws an `Error` that says what is wrong where. */
export function schemaForm(schema, { label = "Input", initial } = {}) {
  const root = isObject(schema) ? schema : {};
  try {
    return part(resolve(root, root), root, { label, initial, required: true, depth: 0 });
  } catch {
    // A schema that is none: the input is edited as JSON, and the server says what it thinks of it.
    return anything({}, { label, given: initial, required: true });
  }
}

/** Follow references inside the schema, and take the one case of an optional type. */
function resolve(schema, root, hops = 0) {
  if (!isObject(schema) || hops > 16) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#/")) {
    const found = schema.$ref.slice(2).split("/").reduce((at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], root);
    return { ...resolve(found, root, hops + 1), ...without(schema, "$ref") };
  }
  const cases = schema.anyOf ?? schema.oneOf;
  const real = cases?.filter((each) => each?.type !== "null");
  if (cases && real.length === 1) return { nullable: cases.length > 1, ...resolve(real[0], root, hops + 1), ...without(schema, "anyOf", "oneOf") };
  if (Array.isArray(schema.type) && schema.type.length === 2 && schema.type.includes("null")) {
    return { ...schema, nullable: true, type: schema.type.find((each) => each !== "null") };
  }
  return schema;
}

const without = (value, ...names) => Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));

function part(schema, root, { label, initial, required, depth }) {
  const given = initial !== undefined ? initial : schema.default;
  const named = { label: (typeof schema.title === "string" ? schema.title : label) + (required ? "" : " (optional)"), hint: typeof schema.description === "string" ? schema.description : undefined, given, required };
  if ("const" in schema) return { element: field(named.label, h("input", { value: JSON.stringify(schema.const), readOnly: true }), named.hint), read: () => schema.const };
  if (Array.isArray(schema.enum)) return choice(schema.enum, named);
  if (schema.type === "boolean") return yesNo(named);
  if (schema.type === "integer" || schema.type === "number") return number(schema, named);
  if (schema.type === "string") return text(schema, named);
  if (schema.type === "object" && isObject(schema.properties) && depth < 4) return object(schema, root, named, depth);
  if (schema.type === "array" && isObject(schema.items) && depth < 4) return list(schema, root, named, depth);
  return anything(schema, named);
}

function choice(values, { label, hint, given, required }) {
  const none = required ? [] : [h("option", { value: "" }, "–")];
  const control = h("select", none, values.map((value, index) => h("option", { value: String(index), selected: value === given }, typeof value === "string" ? value : JSON.stringify(value))));
  return { element: field(label, control, hint), read: () => (control.value === "" ? undefined : values[Number(control.value)]) };
}

function yesNo({ label, hint, given, required }) {
  if (!required && given === undefined) return choice([true, false], { label, hint, given, required });
  const id = fresh("field");
  const control = h("input", { type: "checkbox", id, checked: given === true });
  return { element: h("div.field.check", control, h("label", { htmlFor: id }, label), hint ? h("small.hint", hint) : null), read: () => control.checked };
}

function number(schema, { label, hint, given, required }) {
  const control = h("input", {
    type: "number", step: schema.type === "integer" ? 1 : "any", min: schema.minimum ?? schema.exclusiveMinimum, max: schema.maximum ?? schema.exclusiveMaximum, required, value: given ?? "",
  });
  return { element: field(label, control, hint), read: () => {
    if (control.value === "" && !control.validity.badInput) return absent(label, required);
    if (!control.validity.valid) throw wrong(control, label);
    return Number(control.value);
  } };
}

function text(schema, { label, hint, given, required }) {
  const long = !schema.format && !(schema.maxLength <= 120);
  const control = long ? h("textarea", { rows: 3 }) : h("input", { type: { email: "email", uri: "url", date: "date" }[schema.format] ?? "text" });
  control.value = given ?? "";
  if (schema.maxLength) control.maxLength = schema.maxLength;
  if (schema.minLength) control.minLength = schema.minLength;
  if (schema.pattern && !long) control.pattern = schema.pattern;
  return { element: field(label, control, hint), read: () => {
    if (control.value === "" && !required) return undefined;
    if (!control.validity.valid) throw wrong(control, label);
    return control.value;
  } };
}

function object(schema, root, { label, hint, given, required }, depth) {
  const wanted = new Set(schema.required ?? []);
  const parts = Object.entries(schema.properties).map(([name, each]) =>
    [name, part(resolve(each, root), root, { label: name, initial: given?.[name], required: wanted.has(name), depth: depth + 1 })]);
  const extra = schema.additionalProperties && !parts.length ? anything({}, { label: "Any fields", given: given ?? {}, required: false }) : null;
  const element = h("fieldset.group", { class: depth ? "inner" : "" }, h("legend", label), hint ? h("small.hint", hint) : null, parts.map(([, each]) => each.element), extra?.element);
  return { element, read: () => {
    const value = { ...(extra?.read() ?? {}) };
    for (const [name, each] of parts) {
      const read = each.read();
      if (read !== undefined) value[name] = read;
    }
    return Object.keys(value).length || required ? value : undefined;
  } };
}

function list(schema, root, { label, hint, given, required }, depth) {
  const items = [];
  const place = h("div.items");
  const add = (initial) => {
    const item = part(resolve(schema.items, root), root, { label: `Item ${items.length + 1}`, initial, required: true, depth: depth + 1 });
    item.row = h("div.item", item.element, h("button", { type: "button", "aria-label": `Remove item of ${label}`, onclick: () => {
      items.splice(items.indexOf(item), 1);
      item.row.remove();
    } }, "Remove"));
    items.push(item);
    place.append(item.row);
  };
  for (const each of given ?? Array.from({ length: schema.minItems ?? 0 }, () => undefined)) add(each);
  const element = h("fieldset.group.inner", h("legend", label), hint ? h("small.hint", hint) : null, place, h("button", { type: "button", onclick: () => add(undefined) }, "Add an item"));
  return { element, read: () => (items.length || required ? items.map((item) => item.read()) : undefined) };
}

/** JSON, or plain text where any value will do. */
function anything(schema, { label, hint, given, required }) {
  const free = !schema.type && !schema.anyOf && !schema.oneOf && !schema.allOf;
  const control = h("textarea", { rows: 4, spellcheck: false, class: "mono" });
  control.value = given === undefined ? "" : typeof given === "string" && free ? given : JSON.stringify(given, null, 2);
  const element = field(label, control, hint ?? (free ? "JSON, or plain text" : "JSON"));
  return { element, read: () => {
    if (!control.value.trim()) return free && required ? "" : absent(label, required);
    try {
      return JSON.parse(control.value);
    } catch (error) {
      if (free) return control.value;
      throw Object.assign(new Error(`${label}: this is no JSON (${error.message}).`), { control });
    }
  } };
}

function absent(label, required) {
  if (required) throw new Error(`${label}: something must stand here.`);
  return undefined;
}

const wrong = (control, label) => Object.assign(new Error(`${label}: ${control.validationMessage}`), { control });
