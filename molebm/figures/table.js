/* The table: sorted by its headings, filtered by text and by state; what is missing comes last. */
function tabulate(table) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const words = new Intl.Collator(undefined, { numeric: true });
  const filter = document.getElementById("filter");
  const state = document.getElementById("state");
  const texts = new Map();

  function sort(column, descending) {
    const numeric = headings[column].dataset.kind === "number";
    const keyed = [...body.rows].map((row) => {
      const text = row.cells[column].textContent.trim();
      const key = numeric ? Number.parseFloat(text) : text;
      return { row, key, missing: numeric ? Number.isNaN(key) : text === "" || text === "–" };
    });
    const sign = descending ? -1 : 1;
    keyed.sort((a, b) => {
      if (a.missing || b.missing) return a.missing - b.missing;
      if (numeric) return a.key === b.key ? 0 : sign * (a.key < b.key ? -1 : 1);
      return sign * words.compare(a.key, b.key);
    });
    const sorted = document.createDocumentFragment();
    for (const { row } of keyed) sorted.append(row);
    body.append(sorted);
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    headings[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    document.documentElement.dataset.table = "sorted";
  }

  function show() {
    const sought = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      const wanted = !state || state.value === "" || row.dataset.state === state.value;
      row.hidden = !(wanted && texts.get(row).includes(sought));
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
  }

  headings.forEach((heading, column) => {
    heading.firstElementChild.addEventListener("click", () => {
      const sorted = heading.getAttribute("aria-sort");
      sort(column, sorted ? sorted === "ascending" : heading.dataset.first === "highest");
    });
  });
  filter.addEventListener("input", show);
  if (state) state.addEventListener("change", show);
  document.documentElement.dataset.table = "ready";
}

