// What the report's scripts share: the data, text for Plotly, figures whose colours follow the browser's light or dark.
const report = JSON.parse(document.getElementById("report-data").textContent);
const COLOURS = { blue: "#2f8fd0", orange: "#e0701a", green: "#1ba784", purple: "#b56fa5", grey: "#8a8a8a" };

// Plotly reads a few HTML tags in its texts; names are only text
function plotlyText(name) {
  return String(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Colours of a layout in the present mode; every axis of it gets them.
function themed(layout) {
  const line = cssColour("--line"), text = cssColour("--fg");
  const theme = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    "font.color": text, "font.family": "system-ui, sans-serif", "font.size": 12,
    "hoverlabel.bgcolor": cssColour("--panel"), "hoverlabel.bordercolor": line, "hoverlabel.font.color": text,
    "legend.bgcolor": "rgba(0,0,0,0)",
  };
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) {
      theme[`${key}.gridcolor`] = line;
      theme[`${key}.zerolinecolor`] = line;
      theme[`${key}.linecolor`] = line;
    }
  }
  if (layout.ternary) {
    theme["ternary.bgcolor"] = "rgba(0,0,0,0)";
    for (const axis of ["aaxis", "baxis", "caxis"]) {
      theme[`ternary.${axis}.gridcolor`] = line;
      theme[`ternary.${axis}.linecolor`] = cssColour("--dim");
    }
  }
  return theme;
}

function withTheme(layout) {
  const made = structuredClone(layout);
  for (const [path, value] of Object.entries(themed(layout))) {
    const keys = path.split(".");
    const last = keys.pop();
    let place = made;
    for (const key of keys) place = place[key] ??= {};
    place[last] = value;
  }
  return made;
}

const PLOT_CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

function draw(element, traces, layout) {
  // the wheel moves the page, also over a picture in three dimensions
  const config = { ...PLOT_CONFIG, scrollZoom: false, displayModeBar: element.clientWidth < 600 ? false : "hover" };
  return Plotly.react(element, traces, withTheme(layout), config);
}

function setMode() {
  document.documentElement.classList.toggle("dark", darkMode.matches); // DataTables looks for this class
  for (const element of document.querySelectorAll(".js-plotly-plot")) {
    if (element.layout) Plotly.relayout(element, themed(element.layout)); // a table in place of a figure has none
  }
}
darkMode.addEventListener("change", setMode);
setMode();

function saveText(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.getElementById("save-file").addEventListener("click", () => {
  saveText(`${report.name}.yaml`, document.getElementById("campaign-file").textContent, "text/yaml");
});
