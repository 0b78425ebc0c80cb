// A long list of rows of one height, of which only those in sight exist.

import { eachFrame, h } from "./dom.js";

const SPARE = 8;

/** `render(index)` makes a row; `columns` are the headings. Rows are reached by arrow keys, Home and End. */
export function virtual({ label, columns, height, render, key, pick, kind = "" }) {
  const body = h("div.lines", { role: "rowgroup" });
  const head = h("div.line.heads", { role: "row" }, columns.map((name) => h("span", { role: "columnheader" }, name)));
  const scroller = h("div.virtual", { class: kind, role: "table", "aria-label": label, tabIndex: 0 }, h("div", { role: "rowgroup" }, head), body);
  const state = { count: 0, picked: -1, rows: new Map(), stick: false };
  const draw = () => {
    const first = Math.max(Math.floor(scroller.scrollTop / height) - SPARE, 0);
    const last = Math.min(first + Math.ceil(scroller.clientHeight / height) + 2 * SPARE, state.count);
    for (const [index, known] of state.rows) {
      if (index < first || index >= last || known.key !== key(index)) {
        known.row.remove();
        state.rows.delete(index);
      }
    }
    for (let index = first; index < last; index++) {
      if (!state.rows.has(index)) place(index);
      const { row } = state.rows.get(index);
      row.classList.toggle("picked", index === state.picked);
    }
  };
  const place = (index) => {
    const row = render(index);
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", index + 2);
    row.classList.add("line");
    row.style.transform = `translateY(${index * height}px)`;
    row.addEventListener("click", () => choose(index));
    state.rows.set(index, { row, key: key(index) });
    body.append(row);
  };
  const choose = (index, { quiet = false } = {}) => {
    if (!state.count) return;
    state.picked = Math.min(Math.max(index, 0), state.count - 1);
    show(state.picked);
    draw();
    if (!quiet) pick?.(state.picked);
  };
  const show = (index) => {
    const above = index * height;
    const room = scroller.clientHeight - height;
    if (above < scroller.scrollTop) scroller.scrollTop = above;
    else if (above + height > scroller.scrollTop + room) scroller.scrollTop = above + height - room;
  };
  const later = eachFrame(draw);
  scroller.addEventListener("scroll", later, { passive: true });
  scroller.addEventListener("keydown", (event) => {
    const page = Math.max(Math.floor(scroller.clientHeight / height) - 2, 1);
    const to = { ArrowDown: state.picked + 1, ArrowUp: state.picked - 1, PageDown: state.picked + page, PageUp: state.picked - page, Home: 0, End: state.count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });
  new ResizeObserver(later).observe(scroller);
  return {
    element: scroller,
    choose,
    /** There are `count` rows now. Whoever looks at the end keeps looking at the end. */
    grow(count) {
      const atEnd = scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - height;
      const grew = count > state.count;
      state.count = count;
      body.style.height = `${count * height}px`;
      scroller.setAttribute("aria-rowcount", count + 1);
      if (grew && atEnd && state.picked < 0 && scroller.scrollTop > 0) scroller.scrollTop = scroller.scrollHeight;
      later();
    },
    /** Draw anew what is in sight: the rows say something else now. */
    refresh() {
      for (const { row } of state.rows.values()) row.remove();
      state.rows.clear();
      later();
    },
  };
}
