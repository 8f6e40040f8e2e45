// Crystals that can be turned: atoms, bonds and the cell on a canvas. No library and no WebGL, so that it opens at once
// and works where a browser has no graphics card.
const crystals = new Set();
const STEP = 0.1; // rad, one press of an arrow

// Fractional coordinates of a cartesian position: solve f L = p by Cramer's rule.
function fractional(p, lattice) {
  const [a, b, c] = lattice;
  const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const volume = dot(a, cross(b, c));
  return [dot(p, cross(b, c)) / volume, dot(p, cross(c, a)) / volume, dot(p, cross(a, b)) / volume];
}

function pointIn(lattice, i, j, k) {
  return [0, 1, 2].map((x) => i * lattice[0][x] + j * lattice[1][x] + k * lattice[2][x]);
}

// Atoms on a face, edge or corner of the cell are shown on all of them.
function withImages(structure) {
  const atoms = [];
  structure.p.forEach((position, place) => {
    const shifts = fractional(position, structure.l).map((f) => f < 0.01 ? [0, 1] : f > 0.99 ? [0, -1] : [0]);
    for (const i of shifts[0]) for (const j of shifts[1]) for (const k of shifts[2]) {
      const shift = pointIn(structure.l, i, j, k);
      atoms.push({ species: structure.s[place], position: position.map((value, x) => value + shift[x]) });
    }
  });
  return atoms;
}

function distance(p, q) {
  return Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
}

// Pairs of shown atoms no farther apart than `look.bonds` times the sum of their covalent radii.
function bondsOf(atoms, look) {
  const radius = (atom) => look.elements[atom.species].radius;
  const bonds = [];
  for (let i = 0; i < atoms.length; i += 1) {
    for (let j = 0; j < i; j += 1) {
      const longest = look.bonds * (radius(atoms[i]) + radius(atoms[j]));
      const length = distance(atoms[i].position, atoms[j].position);
      if (length > 0.01 && length <= longest) bonds.push([i, j]);
    }
  }
  return bonds;
}

// The twelve edges, each in pieces, so that atoms hide what is behind them.
function cellEdges(lattice) {
  const pieces = 8, edges = [];
  for (const i of [0, 1]) for (const j of [0, 1]) for (const axis of [0, 1, 2]) {
    const at = (f) => pointIn(lattice, ...[[f, i, j], [i, f, j], [i, j, f]][axis]);
    for (let piece = 0; piece < pieces; piece += 1) edges.push([at(piece / pieces), at((piece + 1) / pieces)]);
  }
  return edges;
}

// How several crystals are turned together: rows are the screen's axes (right, up, towards the reader).
function crystalView() {
  return { axes: [[-0.514, 0.857, 0], [-0.318, -0.191, 0.929], [0.796, 0.478, 0.371]], zoom: 1, extent: 0, drawn: [] };
}

function turn(view, aboutUp, aboutRight) {
  const [right, up, front] = view.axes;
  const mix = (p, q, angle) => p.map((value, x) => value * Math.cos(angle) + q[x] * Math.sin(angle));
  const nearer = mix(front, right, -aboutUp);
  view.axes = [mix(right, front, aboutUp), mix(up, nearer, -aboutRight), mix(nearer, up, aboutRight)];
  for (const draw of view.drawn) draw();
}

function zoomBy(view, factor) {
  view.zoom = Math.min(20, Math.max(0.2, view.zoom * factor));
  for (const draw of view.drawn) draw();
}

// A shaded ball, painted once for each element.
function ball(colour) {
  const size = 96, canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const paint = canvas.getContext("2d");
  paint.beginPath();
  paint.arc(size / 2, size / 2, size / 2 - 1, 0, 2 * Math.PI);
  paint.fillStyle = colour;
  paint.fill();
  const light = paint.createRadialGradient(size * 0.36, size * 0.32, size * 0.04, size * 0.5, size * 0.5, size * 0.52);
  light.addColorStop(0, "rgba(255,255,255,0.75)");
  light.addColorStop(0.4, "rgba(255,255,255,0)");
  light.addColorStop(0.75, "rgba(0,0,0,0.08)");
  light.addColorStop(1, "rgba(0,0,0,0.55)");
  paint.fillStyle = light;
  paint.fill();
  return canvas;
}

// Draw a crystal into an element, which is emptied; crystals of one view turn together and have one scale.
function showCrystal(element, structure, look, { view = crystalView(), label = "crystal" } = {}) {
  const atoms = withImages(structure), bonds = bondsOf(atoms, look), edges = cellEdges(structure.l);
  const centre = pointIn(structure.l, 0.5, 0.5, 0.5);
  const species = [...new Set(structure.s)];
  const balls = Object.fromEntries(species.map((symbol) => [symbol, ball(look.elements[symbol].colour)]));
  const size = (atom) => 0.4 * look.elements[atom.species].radius;
  for (const point of edges.flat()) view.extent = Math.max(view.extent, distance(point, centre));
  for (const atom of atoms) view.extent = Math.max(view.extent, distance(atom.position, centre) + size(atom));
  const canvas = document.createElement("canvas"), legend = document.createElement("p");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${label}: ${species.join(", ")}; arrow keys turn it, + and - zoom`);
  legend.className = "legend";
  for (const symbol of species) {
    const item = document.createElement("span"), dot = document.createElement("i");
    dot.style.background = look.elements[symbol].colour;
    item.append(dot, symbol);
    legend.append(item);
  }
  element.replaceChildren(canvas, legend);
  let shown = [];

  function draw() {
    const width = canvas.clientWidth, height = canvas.clientHeight, dense = window.devicePixelRatio || 1;
    if (!width || !height) return;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const paint = canvas.getContext("2d");
    paint.scale(dense, dense);
    const scale = 0.46 * view.zoom * Math.min(width, height) / view.extent;
    const onScreen = (point) => {
      const from = point.map((value, x) => value - centre[x]);
      const [right, up, front] = view.axes.map((axis) => axis[0] * from[0] + axis[1] * from[1] + axis[2] * from[2]);
      return [width / 2 + scale * right, height / 2 - scale * up, front];
    };
    const line = (from, to, colour, thickness) => {
      paint.beginPath();
      paint.moveTo(from[0], from[1]);
      paint.lineTo(to[0], to[1]);
      paint.strokeStyle = colour;
      paint.lineWidth = thickness;
      paint.stroke();
    };
    const items = [];
    shown = atoms.map((atom) => {
      const [x, y, depth] = onScreen(atom.position), radius = scale * size(atom);
      items.push({ depth, paint: () => paint.drawImage(balls[atom.species], x - radius, y - radius, 2 * radius, 2 * radius) });
      return { x, y, depth, radius, atom };
    });
    // each half of a bond has its atom's colour, and begins where the ball ends
    for (const pair of bonds) for (const [one, other] of [pair, [pair[1], pair[0]]]) {
      const [p, q] = [atoms[one].position, atoms[other].position];
      const start = 0.9 * size(atoms[one]) / distance(p, q);
      const from = onScreen(p.map((value, x) => value + start * (q[x] - value)));
      const to = onScreen(p.map((value, x) => (value + q[x]) / 2));
      items.push({ depth: (from[2] + to[2]) / 2, paint: () => {
        line(from, to, "rgba(0,0,0,0.45)", 0.22 * scale);
        line(from, to, look.elements[atoms[one].species].colour, 0.17 * scale);
      } });
    }
    const thin = cssColour("--dim");
    for (const [start, end] of edges) {
      const [from, to] = [onScreen(start), onScreen(end)];
      items.push({ depth: (from[2] + to[2]) / 2, paint: () => line(from, to, thin, 1.2) });
    }
    for (const item of items.sort((one, other) => one.depth - other.depth)) item.paint();
    paint.fillStyle = cssColour("--fg");
    paint.font = "italic 13px system-ui, sans-serif";
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    const widest = Math.max(...atoms.map(size)), origin = onScreen([0, 0, 0]);
    structure.l.forEach((end, axis) => {
      // beyond the atom that may be at the end of the edge
      const [x, y] = onScreen(end), along = [x - origin[0], y - origin[1]];
      const beyond = 1 + (scale * widest + 9) / Math.max(Math.hypot(...along), 1);
      paint.fillText("abc"[axis], origin[0] + beyond * along[0], origin[1] + beyond * along[1]);
    });
    element.dataset.drawn = "yes";
  }

  let before = null;
  canvas.addEventListener("pointerdown", (event) => {
    before = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (before !== null) {
      turn(view, 0.01 * (event.clientX - before[0]), 0.01 * (event.clientY - before[1]));
      before = [event.clientX, event.clientY];
      return;
    }
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const under = shown.filter((found) => Math.hypot(found.x - x, found.y - y) <= found.radius);
    const nearest = under.sort((one, other) => other.depth - one.depth)[0];
    const place = nearest && nearest.atom.position.map((value) => value.toFixed(3)).join(", ");
    canvas.title = nearest ? `${nearest.atom.species} (${place}) Å` : "";
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { before = null; });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // the page scrolls until the crystal was clicked
    event.preventDefault();
    zoomBy(view, Math.exp(-0.001 * event.deltaY));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (turns[event.key]) turn(view, ...turns[event.key]);
    else if (event.key === "+" || event.key === "-") zoomBy(view, event.key === "+" ? 1.2 : 1 / 1.2);
    else return;
    event.preventDefault();
  });
  view.drawn.push(draw);
  crystals.add({ canvas, draw });
  new ResizeObserver(draw).observe(canvas);
  element.dataset.atoms = atoms.length;
  element.dataset.bonds = bonds.length;
  for (const each of view.drawn) each();
}

function redrawCrystals() {
  for (const crystal of crystals) {
    if (crystal.canvas.isConnected) crystal.draw();
    else crystals.delete(crystal);
  }
}
darkMode.addEventListener("change", redrawCrystals);
