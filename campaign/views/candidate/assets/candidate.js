// Both crystals are turned together, at one scale, so that what the relaxation has changed is seen.
const shown = JSON.parse(document.getElementById("candidate-data").textContent);
const view = crystalView();
for (const [which, structure] of Object.entries(shown.crystals)) {
  showCrystal(document.getElementById(`crystal-${which}`), structure, shown.look, { view, label: `${which} crystal` });
}
