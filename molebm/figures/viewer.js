/* The view in space: balls and sticks, painted from the back to the front. */
const ELEMENTS = { // radius in Å of the ball, colour
  H: [0.22, "#f4f4f4"], C: [0.34, "#7b838d"], N: [0.34, "#3f6ad8"], O: [0.33, "#e0352b"], F: [0.31, "#7fcb4a"],
  Si: [0.42, "#d8b07a"], P: [0.41, "#f08a1d"], S: [0.41, "#e3c32c"], Cl: [0.4, "#34b233"], Br: [0.43, "#9c3a22"],
  I: [0.47, "#7d2a9c"], B: [0.36, "#f2a7a0"], Se: [0.43, "#e8982c"],
};
const OTHER = [0.4, "#c26fb3"];
const STICK = 0.1; // Å
const FOG = [238, 241, 245];
const DISTANCE = 4; // of the eye, in radii of the molecule

const channels = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
const mixed = (a, b, share) => a.map((value, k) => value + share * (b[k] - value));
const css = (rgb) => `rgb(${rgb.map(Math.round).join(",")})`;
const told = (score) => (score === 0 ? "0" : Number(score.toPrecision(3)).toString());

/* Gives the function that shows a scene: elements, positions, bonds, and perhaps scores and colours of the atoms. A scene
   that follows another of the same atoms may keep the way that one was turned. */
function viewer(canvas) {
  const context = canvas.getContext("2d");
  const pointed = document.getElementById("pointed");
  const chosen = { colouring: "element", labels: "none", hydrogens: true };
  let scene, radius, highest, rotation, zoom, placed = [], waiting = false;

  const product = (a, b) => a.map((row) => b[0].map((_, k) => row.reduce((sum, value, j) => sum + value * b[j][k], 0)));
  function turn(about_x, about_y) {
    const [cx, sx, cy, sy] = [Math.cos(about_x), Math.sin(about_x), Math.cos(about_y), Math.sin(about_y)];
    rotation = product(product([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]), rotation);
    later();
  }
  function scale(factor) {
    zoom = Math.min(12, Math.max(0.3, zoom * factor));
    later();
  }
  function reset() {
    rotation = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    zoom = 1;
    later();
  }
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }
  function show(shown, turned = false) {
    scene = shown;
    radius = 1 + Math.max(...scene.positions.map((x) => Math.hypot(...x)));
    highest = Math.max(0, ...(scene.scores || []));
    const scale = document.getElementById("highest");
    if (scale) scale.textContent = highest ? told(highest) : "no scores of atoms";
    if (!turned || !rotation) reset();
    draw();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const eye = DISTANCE * radius;
    const unit = fitted(width, height) * zoom; // pixels of 1 Å at the centre

    placed = scene.positions.map((position, atom) => {
      const [x, y, z] = rotation.map((row) => row[0] * position[0] + row[1] * position[1] + row[2] * position[2]);
      const near = eye / Math.max(eye - z, 0.1 * eye); // perspective; y is up, and z towards the eye
      const symbol = scene.elements[atom];
      const [ball, ofElement] = ELEMENTS[symbol] || OTHER;
      const colour = channels(chosen.colouring === "score" ? scene.colours[atom] : ofElement);
      const place = scene.of ? scene.of[atom] : atom; // in the molecule
      return {
        atom, place, symbol, z, near, x: width / 2 + unit * near * x, y: height / 2 - unit * near * y, radius: unit * near * ball,
        colour: mixed(colour, FOG, 0.35 * Math.min(1, Math.max(0, 0.5 - z / (2 * radius)))),
        shown: symbol !== "H" || chosen.hydrogens,
      };
    });
    const painted = placed.filter((atom) => atom.shown).map((atom) => ({ z: atom.z, paint: () => ball(atom) }));
    for (const [first, second, order] of scene.bonds) {
      const [a, b] = [placed[first], placed[second]];
      if (!a.shown || !b.shown) continue;
      painted.push({ z: (3 * a.z + b.z) / 4, paint: () => stick(a, b, order, unit) });
      painted.push({ z: (a.z + 3 * b.z) / 4, paint: () => stick(b, a, order, unit) });
    }
    painted.sort((a, b) => a.z - b.z);
    for (const item of painted) item.paint();
    if (chosen.labels !== "none") placed.filter(labelled).forEach(label);
    canvas.dataset.drawn = placed.filter((atom) => atom.shown).length;
    document.documentElement.dataset.view = "drawn";
  }

  /* The molecule lies along its principal axes: wide, less high, and must fit in any canvas. */
  function fitted(width, height) {
    const reach = (k) => 1 + Math.max(...scene.positions.map((x) => Math.abs(x[k])));
    return 0.9 * Math.min(width / (2 * reach(0)), height / (2 * reach(1)), Math.max(width, height) / (2 * radius));
  }

  function ball({ x, y, radius, colour }) {
    const shade = context.createRadialGradient(x - 0.35 * radius, y - 0.4 * radius, 0.05 * radius, x, y, radius);
    shade.addColorStop(0, css(mixed(colour, [255, 255, 255], 0.7)));
    shade.addColorStop(0.45, css(colour));
    shade.addColorStop(1, css(mixed(colour, [20, 25, 35], 0.4)));
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = shade;
    context.fill();
  }

  /* Half of a bond, in the colour of its atom. */
  function stick(from, to, order, unit) {
    const [dx, dy] = [(to.x - from.x) / 2, (to.y - from.y) / 2];
    const length = Math.hypot(dx, dy) || 1;
    const lines = order > 2.5 ? [-1, 0, 1] : order > 1 ? [-0.6, 0.6] : [0];
    const thick = STICK * unit * from.near * (lines.length > 1 ? 1.1 : 2);
    for (const line of lines) {
      const aside = line * 1.7 * STICK * unit * from.near;
      const [ox, oy] = [(-dy / length) * aside, (dx / length) * aside];
      const dashed = order === 1.5 && line > 0;
      for (const [share, width] of [[0.45, 1], [0.12, 0.62], [-0.25, 0.24]]) {
        context.beginPath();
        context.setLineDash(dashed ? [2 * thick, 1.2 * thick] : []);
        context.moveTo(from.x + ox, from.y + oy);
        context.lineTo(from.x + ox + dx, from.y + oy + dy);
        context.lineWidth = Math.max(0.5, width * thick);
        context.strokeStyle = css(mixed(from.colour, share > 0 ? [20, 25, 35] : [255, 255, 255], Math.abs(share)));
        context.stroke();
      }
    }
    context.setLineDash([]);
  }

  const labelled = (atom) =>
    atom.shown && (chosen.labels === "all" || (highest > 0 && scene.scores[atom.atom] >= 0.5 * highest));
  function label({ place, symbol, x, y, radius }) {
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "left";
    context.lineWidth = 3;
    context.strokeStyle = "rgba(255,255,255,0.9)";
    context.fillStyle = "#1d2733";
    context.strokeText(symbol + place, x + 0.75 * radius, y - 0.75 * radius);
    context.fillText(symbol + place, x + 0.75 * radius, y - 0.75 * radius);
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const under = placed.filter((atom) => atom.shown && Math.hypot(atom.x - x, atom.y - y) < atom.radius + 2);
    const atom = under.sort((a, b) => b.z - a.z)[0];
    pointed.hidden = !atom;
    if (!atom) return;
    const score = scene.scores ? `: ${told(scene.scores[atom.atom])}` : "";
    pointed.textContent = `${atom.symbol}${atom.place}${score}`;
    pointed.style.left = `${Math.min(x + 14, box.width - 90)}px`;
    pointed.style.top = `${Math.max(2, y - 26)}px`;
  }

  const fingers = new Map();
  const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y) || 1; };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.setPointerCapture(event.pointerId);
    pointed.hidden = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return point(event);
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (before) return scale(spread() / before);
    return turn((event.clientY - last.y) / 120, (event.clientX - last.x) / 120);
  });
  for (const ended of ["pointerup", "pointercancel"]) canvas.addEventListener(ended, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { pointed.hidden = true; });
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); scale(Math.exp(-event.deltaY / 600)); }, { passive: false });
  const keys = {
    ArrowLeft: () => turn(0, -0.1), ArrowRight: () => turn(0, 0.1), ArrowUp: () => turn(-0.1, 0), ArrowDown: () => turn(0.1, 0),
    "+": () => scale(1.15), "=": () => scale(1.15), "-": () => scale(1 / 1.15), 0: reset,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("nearer").addEventListener("click", () => scale(1.3));
  document.getElementById("farther").addEventListener("click", () => scale(1 / 1.3));
  document.getElementById("reset").addEventListener("click", reset);
  for (const what of ["colouring", "labels"]) {
    const control = document.getElementById(what);
    if (!control) continue;
    chosen[what] = control.value;
    control.addEventListener("change", (event) => { chosen[what] = event.target.value; later(); });
  }
  document.getElementById("hydrogens").addEventListener("change", (event) => { chosen.hydrogens = event.target.checked; later(); });
  window.addEventListener("resize", later);
  return show;
}
