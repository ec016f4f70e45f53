/* A molecule is chosen by its card or its name, one of its conformers by its row. */
function explore(molecules) {
  const select = document.getElementById("structure");
  const together = document.getElementById("together");
  const which = document.getElementById("which");
  const said = document.getElementById("told");
  const cards = [...document.querySelectorAll(".card")];
  const show = viewer(document.getElementById("view"));
  let molecule = 0, conformer = 0;

  const alone = ({ elements, bonds, frames }) => ({ elements, bonds, positions: frames[conformer] });
  function all({ elements, bonds, frames }) {
    const shifted = frames.flatMap((_, k) => bonds.map(([a, b, order]) => [a + k * elements.length, b + k * elements.length, order]));
    const of = frames.flatMap(() => elements.map((_, atom) => atom));
    return { elements: frames.flatMap(() => elements), bonds: shifted, positions: frames.flat(), of };
  }
  function draw(turned) {
    const chosen = molecules[molecule];
    const count = chosen.frames.length;
    show(together.checked ? all(chosen) : alone(chosen), turned);
    which.textContent = together.checked ? `${count} conformers` : `conformer ${conformer + 1} of ${count}`;
    const rows = [...said.querySelectorAll("tbody tr")];
    rows.forEach((row, k) => row.classList.toggle("chosen", together.checked || k === conformer));
  }
  function pick(place) {
    conformer = place;
    together.checked = false;
    draw(true);
  }
  function choose(place) {
    [molecule, conformer] = [place, 0];
    select.value = String(place);
    cards.forEach((card, at) => card.classList.toggle("chosen", at === place));
    said.replaceChildren(...[...cards[place].querySelector(".details").children].map((part) => part.cloneNode(true)));
    said.querySelectorAll("tbody tr").forEach((row, k) => {
      row.addEventListener("click", () => pick(k));
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") pick(k); });
    });
    draw(false);
  }
  function followed() {
    const place = cards.findIndex((card) => `#${card.id}` === location.hash);
    if (place >= 0) choose(place);
  }
  select.addEventListener("change", () => choose(Number(select.value)));
  together.addEventListener("change", () => draw(true));
  cards.forEach((card, place) => {
    card.addEventListener("click", () => choose(place));
    card.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(place); });
  });
  for (const link of document.querySelectorAll("#table a")) link.addEventListener("click", () => setTimeout(followed));
  choose(0);
  followed();
}

tabulate(document.getElementById("table"));
const scenes = document.getElementById("scenes");
if (scenes) explore(JSON.parse(scenes.textContent));
