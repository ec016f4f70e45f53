function explore(scenes) {
  const select = document.getElementById("structure");
  const cards = [...document.querySelectorAll(".card")];
  const show = viewer(document.getElementById("view"));
  const said = document.getElementById("told");

  function choose(place) {
    select.value = String(place);
    cards.forEach((card, at) => card.classList.toggle("chosen", at === place));
    said.replaceChildren(cards[place].querySelector(".numbers").cloneNode(true), cards[place].querySelector("ul").cloneNode(true));
    show(scenes[place]);
  }
  function followed() {
    const place = cards.findIndex((card) => `#${card.id}` === location.hash);
    if (place >= 0) choose(place);
  }
  select.addEventListener("change", () => choose(Number(select.value)));
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
