// Figures are drawn when they come near the screen, so that a long page opens at once.
const drawers = {};

function drawFigure(element) {
  const id = element.dataset.figure;
  const figure = report.figures[id];
  if (figure) draw(element, figure.data, figure.layout).then(() => { element.dataset.drawn = "yes"; });
  else if (drawers[id]) drawers[id](element);
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    drawFigure(entry.target);
  }
}, { rootMargin: "400px" });

function fillChoice(id, labels, show) {
  const choice = document.getElementById(`choose-${id}`);
  labels.forEach((label, place) => {
    const option = document.createElement("option");
    option.value = place;
    option.textContent = label;
    choice.append(option);
  });
  choice.addEventListener("change", () => show(Number(choice.value)));
  show(0);
}

const LEGEND_BELOW = { orientation: "h", yref: "container", yanchor: "bottom", y: 0, x: 0 };

drawers.hull = (element) => {
  const labels = report.hulls.map((hull) => `${hull.system.join("-")} (${hull.n})`);
  fillChoice("hull", labels, (place) => drawHull(element, report.hulls[place]));
};

function drawHull(element, hull) {
  const [x, energies, names] = hull.candidates;
  const places = x.map((_, place) => place);
  const some = (test, name, marker) => {
    const chosen = places.filter(test);
    return {
      x: chosen.map((place) => x[place]), y: chosen.map((place) => energies[place]),
      text: chosen.map((place) => plotlyText(names[place])), name: `${name} (${chosen.length})`, mode: "markers",
      marker: { size: 9, ...marker }, hovertemplate: "%{text}<br>x %{x:.3f}, E_f %{y:.3f} eV/atom<extra></extra>",
    };
  };
  const traces = [
    { x: hull.hull[0], y: hull.hull[1], mode: "lines", line: { color: COLOURS.grey }, name: "hull", hoverinfo: "skip" },
    {
      x: hull.phases[0], y: hull.phases[1], text: hull.phases[2].map(plotlyText), mode: "markers", name: "known phases",
      marker: { color: COLOURS.grey, size: 7, symbol: "square" },
      hovertemplate: "%{text}<br>E_f %{y:.3f} eV/atom<extra></extra>",
    },
    some((i) => !hull.relaxed[i], "predicted, E_f(ML)", { color: COLOURS.blue, symbol: "circle-open" }),
    some((i) => hull.relaxed[i] && !hull.stable[i], "relaxed, not stable", { color: COLOURS.orange }),
    some((i) => hull.relaxed[i] && hull.stable[i], "relaxed, stable", { color: COLOURS.green, symbol: "star", size: 12 }),
  ];
  const layout = {
    margin: { l: 10, r: 10, t: 20, b: 10 }, legend: LEGEND_BELOW,
    xaxis: { title: { text: `atomic fraction of ${hull.system[1]} in ${hull.system[0]}` }, range: [-0.03, 1.03], automargin: true },
    yaxis: { title: { text: "formation energy (eV/atom)" }, automargin: true },
  };
  draw(element, traces, layout).then(() => { element.dataset.drawn = hull.system.join("-"); });
}

drawers.pair = (element) => {
  fillChoice("pair", report.pairs.shown.map((pair) => pair.label), (place) => drawPair(element, report.pairs.shown[place]));
};

function drawPair(element, pair) {
  const [low, high, number] = report.pairs.grid;
  const step = (high - low) / (number - 1);
  const line = (densities, colour, name) => ({
    x0: low, dx: step, y: densities, mode: "lines", line: { color: colour, width: 1.5 }, name,
    hovertemplate: "%{x:.2f} eV: %{y:.3f}<extra></extra>",
  });
  const shapes = pair.ef.map((level, place) => level === null ? null : ({
    type: "line", x0: level, x1: level, y0: 0, y1: 1, yref: "paper",
    line: { color: place ? COLOURS.green : COLOURS.purple, dash: "dash", width: 1 },
  })).filter(Boolean);
  const layout = {
    margin: { l: 10, r: 10, t: 20, b: 10 }, legend: LEGEND_BELOW, shapes,
    xaxis: { title: { text: report.pairs.fermi ? "energy above the Fermi level (eV)" : "energy (eV)" }, automargin: true },
    yaxis: { title: { text: `DOS (${report.pairs.unit})` }, automargin: true },
  };
  const traces = [line(pair.is, COLOURS.purple, "IS (unrelaxed)"), line(pair.rs, COLOURS.green, "RS (relaxed)")];
  draw(element, traces, layout).then(() => { element.dataset.drawn = pair.label; });
}

for (const element of document.querySelectorAll(".plot")) near.observe(element);
// a printed page has all of them
window.addEventListener("beforeprint", () => {
  for (const element of document.querySelectorAll(".plot:not([data-drawn])")) drawFigure(element);
});
