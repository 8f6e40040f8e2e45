// The periodic table: a square for each element, coloured by the share of its relaxed candidates that are stable.
drawers.elements = (element) => {
  drawElements(element);
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - width) < 4) return; // its own change of the height
    width = element.clientWidth;
    drawElements(element);
  }).observe(element);
};

function drawElements(element) {
  const { fewest, shown } = report.table;
  const rows = Math.max(...shown.map(([, row]) => row));
  const below = rows > 7 ? 0.4 : 0; // a gap above the f block
  const x = (one) => one[2], y = (one) => one[1] + (one[1] > 7 ? below : 0);
  const isEnough = ([, , , , relaxed]) => relaxed >= fewest;
  const width = element.clientWidth, isNarrow = width < 600;
  const size = width / 18.4;
  element.style.height = `${Math.round(size * (rows + below + 0.4))}px`;
  const square = { symbol: "square", size: size * 0.9 };
  const counts = ([symbol, , , every, relaxed, stable]) => {
    const about = `<b>${symbol}</b>: in ${every.toLocaleString("en")} candidates<br>`;
    if (relaxed < fewest) return `${about}too few yet: ${relaxed} relaxed (${stable} stable), needs ${fewest}`;
    return `${about}${stable} of ${relaxed.toLocaleString("en")} relaxed are stable (${(100 * stable / relaxed).toFixed(0)} %)`;
  };
  // stable / relaxed stand in the square where it has room
  const label = ([symbol, , , every, relaxed, stable]) => every && size > 36 ? `${symbol}<br><span style="font-size:11px">${stable}/${relaxed}</span>` : symbol;
  const trace = (chosen, name, more) => ({
    x: chosen.map(x), y: chosen.map(y), name, mode: "markers+text", text: chosen.map(label),
    customdata: chosen.map(counts), hovertemplate: "%{customdata}<extra></extra>", textposition: "middle center",
    textfont: { size: Math.max(9, Math.min(18, size * 0.5)), ...more.font }, ...more.rest,
  });
  const known = shown.filter((one) => one[3] > 0 && isEnough(one));
  const few = shown.filter((one) => one[3] > 0 && !isEnough(one));
  // where the table has its gap, above the transition metals
  const bar = {
    title: { text: "stable among the relaxed", side: "top", font: { size: isNarrow ? 10 : 13 } }, thickness: isNarrow ? 8 : 14,
    tickformat: ".0%", dtick: isNarrow ? 0.5 : 0.25, tickfont: { size: isNarrow ? 9 : 12 },
    orientation: "h", x: 0.4, y: 1, yanchor: "top", ypad: 2, len: 0.5,
  };
  const scale = { colorscale: [...NEAR_AND_FAR].reverse().map(([, colour], place) => [place / 2, colour]), cmin: 0, cmax: 1 };
  const traces = [
    trace(shown.filter((one) => one[3] === 0), "not in the campaign", { font: { color: COLOURS.grey }, rest: { mode: "text", hoverinfo: "skip", hovertemplate: null } }),
    trace(few, "too few yet", { rest: { marker: { ...square, color: "rgba(138,138,138,0.3)" } } }),
    trace(known, "stable", {
      font: { color: "#101214" },
      rest: { marker: { ...square, ...scale, color: known.map(([, , , , relaxed, stable]) => stable / relaxed), showscale: known.length > 0, colorbar: bar } },
    }),
  ];
  const hidden = { visible: false, fixedrange: true };
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false,
    xaxis: { ...hidden, range: [0.3, 18.7] }, yaxis: { ...hidden, range: [rows + below + 0.6, 0.2] },
  };
  draw(element, traces, layout).then(() => { element.dataset.drawn = "yes"; });
}
