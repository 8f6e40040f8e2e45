// Crystals that can be turned, drawn when somebody asks for one.
const viewer = document.getElementById("viewer");

// Fractional coordinates of a cartesian position: solve f L = p by Cramer's rule.
function fractional(p, lattice) {
  const [a, b, c] = lattice;
  const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  const volume = dot(a, cross(b, c));
  return [dot(p, cross(b, c)) / volume, dot(p, cross(c, a)) / volume, dot(p, cross(a, b)) / volume];
}

// Atoms on a face, edge or corner of the cell are shown on all of them.
function withImages(structure) {
  const atoms = [];
  structure.p.forEach((position, place) => {
    const shifts = fractional(position, structure.l).map((f) => f < 0.01 ? [0, 1] : f > 0.99 ? [0, -1] : [0]);
    for (const i of shifts[0]) for (const j of shifts[1]) for (const k of shifts[2]) {
      const moved = [0, 1, 2].map((x) => position[x] + i * structure.l[0][x] + j * structure.l[1][x] + k * structure.l[2][x]);
      atoms.push({ species: structure.s[place], position: moved });
    }
  });
  return atoms;
}

function cellEdges(lattice) {
  const corner = (i, j, k) => [0, 1, 2].map((x) => i * lattice[0][x] + j * lattice[1][x] + k * lattice[2][x]);
  const lines = [[], [], []];
  for (const i of [0, 1]) for (const j of [0, 1]) for (const k of [0, 1]) {
    for (const end of [[1, j, k], [i, 1, k], [i, j, 1]]) {
      if (end[0] === i && end[1] === j && end[2] === k) continue;
      const points = [corner(i, j, k), corner(...end)];
      for (const x of [0, 1, 2]) lines[x].push(points[0][x], points[1][x], null);
    }
  }
  return lines;
}

function showStructure(id) {
  const structure = report.structures[id];
  const row = report.tables.candidates.rows.find((found) => found[3] === id);
  const atoms = withImages(structure);
  const edges = cellEdges(structure.l);
  const lengths = structure.l.map((vector) => Math.hypot(...vector));
  const element = document.getElementById("viewer-plot");
  viewer.showModal();
  // a sphere's size is in pixels: the cell fills about half of the picture
  const scale = 0.45 * Math.min(element.clientWidth, element.clientHeight) / (Math.max(...lengths) + 2);
  const traces = [...new Set(structure.s)].map((species) => {
    const mine = atoms.filter((atom) => atom.species === species);
    const { colour, radius } = report.elements[species];
    return {
      type: "scatter3d", mode: "markers", name: plotlyText(species),
      x: mine.map((atom) => atom.position[0]), y: mine.map((atom) => atom.position[1]), z: mine.map((atom) => atom.position[2]),
      marker: { size: Math.max(6, 0.8 * radius * scale), color: colour, opacity: 1, line: { color: "#555555", width: 1 } },
      hovertemplate: `${plotlyText(species)} (%{x:.3f}, %{y:.3f}, %{z:.3f}) A<extra></extra>`,
    };
  });
  traces.push({
    type: "scatter3d", mode: "lines", x: edges[0], y: edges[1], z: edges[2], hoverinfo: "skip", showlegend: false,
    line: { color: cssColour("--dim"), width: 3 },
  });
  const hidden = { visible: false, showspikes: false };
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, legend: { orientation: "h", x: 0, y: 1 },
    scene: { domain: { y: [0, 0.92] }, aspectmode: "data", xaxis: hidden, yaxis: hidden, zaxis: hidden, camera: { projection: { type: "orthographic" }, eye: { x: 1.5, y: 0.9, z: 0.7 } } },
  };
  document.getElementById("viewer-title").textContent = `${row[1]} ${row[2]}`;
  document.getElementById("viewer-note").textContent =
    `${structure.r ? "relaxed" : "unrelaxed"} cell, ${structure.s.length} atoms; ` +
    `a, b, c = ${lengths.map((length) => length.toFixed(3)).join(", ")} Å. Drag to turn, wheel or pinch to zoom.`;
  Plotly.newPlot(element, traces, withTheme(layout), { ...PLOT_CONFIG, displayModeBar: false })
    .then(() => { element.dataset.drawn = id; });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.view");
  if (button) showStructure(button.dataset.structure);
});
// a picture in three dimensions keeps a graphics context: it is given back
viewer.addEventListener("close", () => {
  const element = document.getElementById("viewer-plot");
  Plotly.purge(element);
  delete element.dataset.drawn;
});
