"use strict";
// Tables sort by any column at a click: up, down, then back to the page's own order.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = (cell.dataset.sort ?? cell.textContent).trim();
    if (text === "") return null;
    const number = Number(text.replace(/[,%]/g, ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b && typeof a === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  const sort = (table, column, direction) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      rows.forEach((row, i) => { row.dataset.place ??= String(i); });
      rows.sort((one, two) => {
        const place = Number(one.dataset.place) - Number(two.dataset.place);
        if (direction === "none") return place;
        const [a, b] = [value(one, column), value(two, column)];
        // what was not measured stays last either way
        if (a === null || b === null) return (a === null) - (b === null) || place;
        return (direction === "ascending" ? 1 : -1) * compare(a, b) || place;
      });
      body.append(...rows);
    }
  };
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = next[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", direction);
        sort(table, column, direction);
      });
    });
  }
})();
