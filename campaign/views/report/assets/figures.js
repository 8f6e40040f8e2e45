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

// A menu of labels; with groups, a heading for each option, options stand under their headings.
function fillChoice(id, labels, show, groups = []) {
  const choice = document.getElementById(`choose-${id}`);
  const headings = {};
  labels.forEach((label, place) => {
    const option = document.createElement("option");
    option.value = place;
    option.textContent = label;
    let under = choice;
    if (new Set(groups).size > 1) {
      under = headings[groups[place]];
      if (!under) {
        under = headings[groups[place]] = document.createElement("optgroup");
        under.label = groups[place];
        choice.append(under);
      }
    }
    under.append(option);
  });
  choice.value = 0;
  choice.addEventListener("change", () => show(Number(choice.value)));
  show(0);
}

const LEGEND_BELOW = { orientation: "h", yref: "container", yanchor: "bottom", y: 0, x: 0 };

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
  for (const element of document.querySelectorAll(".plot:not([data-drawn])")) {
    near.unobserve(element);
    drawFigure(element);
  }
});
