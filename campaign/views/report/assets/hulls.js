// Hulls of chemical systems: a line over one axis, a triangle, a tetrahedron; a table alone for five elements and more.
const HULL_KINDS = {
  known: "known phase", predicted: "predicted, E_f(ML)", relaxed: "relaxed, not stable", stable: "relaxed, stable",
};
// blue is near the hull and orange far from it: apart from each other on light and dark, and for colour-blind readers
const NEAR_AND_FAR = [[0, "#1f78c8"], [0.5, "#c9b458"], [1, "#d9541e"]];
const LARGEST_DISTANCE = 0.5; // eV/atom: what is farther has the last colour
const MOST_LINES = 4; // entries of one composition in a hover label
const MOST_NAMED = 6; // stable candidates that are labelled

const UNSEEN = { mode: "markers+text", marker: { size: 11, opacity: 0 } }; // they keep a label away from what it names
const LEFT = { hoverlabel: { align: "left" } };

const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
const placeOf = (point) => point.x.map((part) => part.toFixed(4)).join(" ");
const isOnHull = (point) => point.kind === "known" && point.d <= 1e-6;

function pointText(point) {
  const by = point.kind === "known" ? "" : point.kind === "predicted" ? "(ML)" : "(DFT)";
  const name = point.name === point.id ? "" : `<br>${plotlyText(shorten(point.id, 44))}`;
  const known = isOnHull(point) ? ", on the hull" : `, ${signed(point.d)} above the hull`;
  const kind = point.kind === "known" ? HULL_KINDS.known : point.kind;
  return `<b>${plotlyText(shorten(point.name, 40))}</b>, ${kind}${name}`
    + `<br>E_f${by} ${signed(point.e)}${known} (eV/atom)`;
}

// "0.5 Al + 0.5 AlPd2", two phases to a line
function partsText(point) {
  if (isOnHull(point)) return "";
  if (!point.parts) return "<br>decomposition not known";
  const parts = point.parts.split(" + ").map(plotlyText);
  const lines = [];
  for (let place = 0; place < parts.length; place += 2) lines.push(parts.slice(place, place + 2).join(" + "));
  return `<br>decomposes into ${lines.join(" +<br>")}`;
}

drawers.hull = (element) => {
  const sizes = { 2: "two elements", 3: "three elements", 4: "four elements" };
  const groups = report.hulls.map((hull) => sizes[hull.system.length] ?? "five elements and more");
  const labels = report.hulls.map((hull) => `${hull.system.join("-")} (${hull.n})`);
  fillChoice("hull", labels, (place) => drawHull(element, report.hulls[place]), groups);
};

function drawHull(element, hull) {
  const name = hull.system.join("-");
  const done = () => { element.dataset.drawn = name; };
  hullRows(element, hull);
  Plotly.purge(element); // another kind of figure, of another height
  element.hidden = hull.system.length > 4;
  if (element.hidden) {
    done();
    return;
  }
  if (hull.system.length === 2) {
    element.style.height = "460px";
    draw(element, ...binaryHull(hull)).then(done);
    return;
  }
  const width = element.clientWidth;
  element.style.height = `${Math.min(640, Math.round(0.72 * width) + 250)}px`;
  draw(element, ...simplexHull(hull, width < 600)).then(done);
}

// The lowest stable candidate of each composition, unless a known phase has its name there already.
function namedCandidates(hull) {
  const taken = new Set(hull.phases.filter(isOnHull).map(placeOf));
  const named = [];
  for (const point of hull.candidates) {
    if (point.kind !== "stable" || taken.has(placeOf(point)) || named.length === MOST_NAMED) continue;
    taken.add(placeOf(point));
    named.push(point);
  }
  return named;
}

function binaryHull(hull) {
  const points = (chosen, name, marker) => ({
    x: chosen.map((point) => point.x[1]), y: chosen.map((point) => point.e), name: `${name} (${chosen.length})`,
    text: chosen.map((point) => pointText(point) + partsText(point)), mode: "markers", marker: { size: 9, ...marker },
    hovertemplate: "%{text}<extra></extra>", ...LEFT,
  });
  const labels = (chosen, colour, position) => ({
    x: chosen.map((point) => point.x[1]), y: chosen.map((point) => point.e), ...UNSEEN, hoverinfo: "skip",
    text: chosen.map((point) => plotlyText(shorten(point.formula, 16))), textposition: position, cliponaxis: false,
    textfont: { size: 12, ...colour }, showlegend: false, name: "labels",
  });
  const of = (kind) => hull.candidates.filter((point) => point.kind === kind);
  const stable = hull.phases.filter(isOnHull);
  const corners = [...new Map(stable.map((point) => [placeOf(point), point])).values()];
  const ends = hull.ties.flatMap(([one, other]) => [hull.phases[one], hull.phases[other], null]);
  const traces = [
    {
      x: ends.map((point) => point && point.x[1]), y: ends.map((point) => point && point.e), mode: "lines",
      line: { color: COLOURS.grey }, name: "hull", hoverinfo: "skip",
    },
    points(hull.phases.filter((point) => !isOnHull(point)), "known, not stable", { color: COLOURS.grey, size: 6, symbol: "x-thin-open" }),
    points(stable, "known, stable", { color: COLOURS.grey, size: 8, symbol: "square" }),
    points(of("predicted"), HULL_KINDS.predicted, { color: COLOURS.blue, symbol: "circle-open" }),
    points(of("relaxed"), HULL_KINDS.relaxed, { color: COLOURS.orange }),
    points(of("stable"), HULL_KINDS.stable, { color: COLOURS.green, symbol: "star", size: 12 }),
    labels(corners, {}, "top center"),
    labels(namedCandidates(hull), { color: COLOURS.green }, "bottom center"),
  ];
  const layout = {
    margin: { l: 10, r: 10, t: 20, b: 10 }, legend: LEGEND_BELOW,
    xaxis: { title: { text: `atomic fraction of ${hull.system[1]} in ${hull.system[0]}` }, range: [-0.06, 1.06], automargin: true },
    yaxis: { title: { text: "formation energy (eV/atom)" }, automargin: true },
  };
  return [traces.filter((trace) => trace.x.length), layout];
}

// Corners of a regular tetrahedron, the first one at the top.
const TETRAHEDRON = [
  [0, 0, 1], [Math.sqrt(8) / 3, 0, -1 / 3], [-Math.sqrt(2) / 3, Math.sqrt(6) / 3, -1 / 3], [-Math.sqrt(2) / 3, -Math.sqrt(6) / 3, -1 / 3],
];

// Where points are in a triangle or a tetrahedron; null is a gap of a line.
function simplexPlaces(points, isFlat) {
  if (isFlat) {
    const [a, b, c] = [0, 1, 2].map((corner) => points.map((point) => point && point.x[corner]));
    return { type: "scatterternary", a, b, c, cliponaxis: false };
  }
  const along = (axis) => points.map((point) => point && point.x.reduce((sum, part, corner) => sum + part * TETRAHEDRON[corner][axis], 0));
  return { type: "scatter3d", x: along(0), y: along(1), z: along(2) };
}

// Three dimensions have no stars and no thin crosses.
const SYMBOLS = {
  flat: { predicted: "circle-open", relaxed: "circle", stable: "star", known: "square", other: "x-thin-open" },
  deep: { predicted: "circle-open", relaxed: "circle", stable: "diamond", known: "square", other: "cross" },
};

function simplexHull(hull, isNarrow) {
  const isFlat = hull.system.length === 3;
  const symbols = isFlat ? SYMBOLS.flat : SYMBOLS.deep;
  const size = (pixels) => (isFlat ? pixels : (isNarrow ? 0.45 : 0.65) * pixels);
  // several prototypes share a composition: one mark, the most stable, that tells of all of them
  const there = {};
  for (const point of [...hull.candidates, ...hull.phases]) (there[placeOf(point)] ??= []).push(point);
  const text = (point) => {
    const all = there[placeOf(point)];
    const more = all.length > MOST_LINES ? `<br>and ${all.length - MOST_LINES} more of this composition` : "";
    const apart = all.find((one) => !isOnHull(one)) ?? point;
    return all.slice(0, MOST_LINES).map(pointText).join("<br>") + more + partsText(apart);
  };
  const marks = (chosen, name, marker) => ({
    ...simplexPlaces(chosen, isFlat), name: `${name} (${chosen.length})`, mode: "markers", text: chosen.map(text),
    hovertemplate: "%{text}<extra></extra>", marker, ...LEFT,
  });
  const best = hull.candidates.filter((point) => there[placeOf(point)][0] === point);
  const distances = best.map((point) => point.d);
  const low = Math.min(0, ...distances);
  const high = Math.max(low + 0.1, Math.min(LARGEST_DISTANCE, Math.max(...distances, 0)));
  // in the legend a mark has no colour of the scale
  const coloured = (kind, marker) => {
    const chosen = best.filter((point) => point.kind === kind);
    if (!chosen.length) return [];
    const style = { size: size(11), symbol: symbols[kind], ...marker };
    const trace = marks(chosen, HULL_KINDS[kind], { ...style, color: chosen.map((point) => point.d), coloraxis: "coloraxis" });
    const entry = { ...trace, ...simplexPlaces([null], isFlat), marker: { ...style, color: COLOURS.grey }, hoverinfo: "skip" };
    return [{ ...trace, legendgroup: kind, showlegend: false }, { ...entry, legendgroup: kind }];
  };
  const onHull = hull.phases.filter(isOnHull);
  const compositions = [...new Map(onHull.map((point) => [placeOf(point), point])).values()];
  // the corners of a triangle have their elements' names already, as titles of the axes
  const named = compositions.filter((point) => !isFlat || point.x.filter((part) => part > 0).length > 1);
  const labels = (chosen, position, style) => ({
    ...simplexPlaces(chosen, isFlat), ...UNSEEN, hoverinfo: "skip", showlegend: false, name: "labels",
    text: chosen.map((point) => plotlyText(shorten(point.formula, 16))), textposition: chosen.map(position),
    // on a flat one the page's colour, which follows the mode
    textfont: { size: isNarrow ? 10 : 12, ...(isFlat ? {} : { color: cssColour("--fg") }), ...style },
  });
  const outwards = (point) => {
    if (!isFlat) return "top center";
    return point.x[0] === 0 ? "bottom center" : point.x[1] === 0 ? "middle right" : point.x[2] === 0 ? "middle left" : "top center";
  };
  const line = (points, name, more) => ({
    ...simplexPlaces(points, isFlat), mode: "lines", line: { color: COLOURS.grey, width: 1.2 }, name, hoverinfo: "skip", ...more,
  });
  const corner = (place) => ({ x: hull.system.map((_, one) => Number(one === place)) });
  const edges = hull.system.flatMap((_, one) => hull.system.slice(0, one).flatMap((__, other) => [corner(one), corner(other), null]));
  const traces = [
    ...(isFlat ? [] : [line(edges, "edges", { showlegend: false, line: { color: COLOURS.grey, width: 3 } })]),
    line(hull.ties.flatMap(([one, other]) => [hull.phases[one], hull.phases[other], null]), "hull"),
    marks(hull.phases.filter((point) => !isOnHull(point)), "known, not stable", { color: COLOURS.grey, size: size(6), symbol: symbols.other }),
    ...coloured("predicted", { line: { width: 2 } }),
    ...coloured("relaxed"),
    ...coloured("stable", { size: size(15) }),
    // on top of candidates of the same composition: small enough to leave their colour to be seen
    marks(onHull, "known, stable", { color: COLOURS.grey, size: size(7), symbol: symbols.known }),
    labels(named, outwards, {}),
    labels(namedCandidates(hull), () => "bottom center", { color: COLOURS.green }),
  ];
  return [traces.filter((trace) => (trace.a ?? trace.x).length), simplexLayout(hull, isNarrow, { low, high, isShown: best.length > 0 })];
}

function simplexLayout(hull, isNarrow, { low, high, isShown }) {
  const bar = { title: { text: "above the hull (eV/atom)", side: "top" }, thickness: 12 };
  if (isNarrow) Object.assign(bar, { orientation: "h", x: 0.5, y: 1.2, yanchor: "bottom", len: 1, thickness: 8 });
  else Object.assign(bar, { x: 0.98, len: 0.8 });
  const layout = {
    margin: { l: 46, r: isNarrow ? 50 : 20, t: isNarrow ? 110 : 40, b: 40 }, legend: LEGEND_BELOW,
    coloraxis: { colorscale: NEAR_AND_FAR, cmin: low, cmax: high, showscale: isShown, colorbar: bar },
  };
  if (hull.system.length === 3) {
    const axis = (symbol) => ({ title: { text: `<b>${plotlyText(symbol)}</b>` }, showticklabels: false, ticks: "", dtick: 0.2, min: 0 });
    const [aaxis, baxis, caxis] = hull.system.map(axis);
    return { ...layout, ternary: { sum: 1, aaxis, baxis, caxis } };
  }
  const hidden = { visible: false, showspikes: false };
  const camera = { projection: { type: "orthographic" }, eye: { x: 1.1, y: 0.5, z: 0.3 }, center: { x: 0, y: 0, z: 0.1 } };
  return { ...layout, scene: { aspectmode: "manual", aspectratio: { x: 1.5, y: 1.73, z: 1.41 }, xaxis: hidden, yaxis: hidden, zaxis: hidden, camera } };
}

// All numbers of the figure as text: for phones, for four elements and more, and to copy from.
function hullRows(element, hull) {
  let place = document.getElementById("rows-hull");
  if (place === null) {
    place = document.createElement("div");
    place.id = "rows-hull";
    place.className = "table-wrap";
    element.after(place);
  }
  const table = document.createElement("table");
  table.className = "plain";
  const row = (cells, tag, isNumber) => {
    const made = document.createElement("tr");
    cells.forEach((text, column) => {
      const cell = document.createElement(tag);
      cell.textContent = text;
      if (isNumber(column)) cell.className = "number";
      made.append(cell);
    });
    table.append(made);
  };
  const numbers = (column) => column === 2 || column === 3;
  row(["phase", "", "E_f (eV/atom)", "above the hull", "decomposes into", "id"], "th", numbers);
  for (const point of [...hull.candidates, ...hull.phases]) {
    const parts = isOnHull(point) ? "on the hull" : point.parts ?? "not known";
    row([point.name, HULL_KINDS[point.kind], signed(point.e), signed(point.d), parts, point.id], "td", numbers);
  }
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = `Numbers of ${hull.system.join("-")}: ${hull.candidates.length} candidates, ${hull.phases.length} known phases`;
  details.open = hull.system.length > 4;
  details.append(summary, table);
  place.replaceChildren(details);
}
