// A crystal of the table, shown when somebody asks for one.
const viewer = document.getElementById("viewer");

function showStructure(id) {
  const structure = report.structures[id];
  const row = report.tables.candidates.rows.find((found) => found[3] === id);
  const lengths = structure.l.map((vector) => Math.hypot(...vector));
  const element = document.getElementById("viewer-plot");
  document.getElementById("viewer-title").textContent = `${row[1]} ${row[2]}`;
  document.getElementById("viewer-note").textContent =
    `${structure.r ? "relaxed" : "unrelaxed"} cell, ${structure.s.length} atoms; ` +
    `a, b, c = ${lengths.map((length) => length.toFixed(3)).join(", ")} Å. Drag to turn, wheel to zoom. ${report.look.rule}`;
  viewer.showModal();
  showCrystal(element, structure, report.look);
  element.querySelector("canvas").focus();
  element.dataset.shown = id;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.view");
  if (button) showStructure(button.dataset.structure);
});
viewer.addEventListener("close", () => {
  const element = document.getElementById("viewer-plot");
  element.replaceChildren();
  delete element.dataset.drawn;
});
