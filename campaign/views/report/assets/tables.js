// Tables by DataTables, out of the bundle that itables ships.
function shownNumber(value, column) {
  const sign = column.signed && value >= 0 ? "+" : "";
  return sign + value.toFixed(column.digits);
}

function escapeHtml(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element.innerHTML.replace(/"/g, "&quot;").replace(/'/g, "&#39;");
}

// The page of a candidate: only a server has one.
const hasPages = document.getElementById("live-data") !== null;

function candidateLink(text, id) {
  return `<a href="${escapeHtml(`${location.pathname}/candidate/${encodeURIComponent(id)}`)}">${escapeHtml(text)}</a>`;
}

// What a cell is for each purpose: DataTables takes a displayed cell as HTML, so all text is escaped here.
function cell(column, idPlace) {
  return (value, purpose, row) => {
    const missing = value === null || value === undefined;
    if (column.kind === "number") {
      if (purpose === "display") return missing ? "" : shownNumber(value, column);
      return missing ? (purpose === "sort" ? Infinity : "") : value;
    }
    if (column.kind === "flag") return missing ? "" : value ? "yes" : "no";
    if (column.kind === "3d") {
      if (purpose !== "display") return missing ? "" : "yes";
      return missing ? "" : `<button type="button" class="view" data-structure="${escapeHtml(value)}">view</button>`;
    }
    if (missing) return "";
    if (column.kind === "candidate" && purpose === "display" && hasPages) return candidateLink(value, row[idPlace]);
    // what is searched is read as HTML too
    return purpose === "display" || purpose === "filter" ? escapeHtml(value) : String(value);
  };
}

function columnOf(column, _, columns) {
  const idPlace = columns.findIndex((each) => each.title === "id");
  const long = ["reason", "error"].includes(column.title);
  return {
    title: column.unit ? `${column.title}\n${column.unit}` : column.title,
    render: cell(column, idPlace),
    type: column.kind === "number" ? "num" : "string",
    className: column.kind === "number" ? "number" : long ? "long" : column.title === "id" ? "id" : "",
    orderable: column.kind !== "3d",
    searchable: column.kind !== "3d",
  };
}

async function makeTables() {
  const bundle = atob(document.getElementById("datatables-bundle").textContent.trim());
  const bytes = Uint8Array.from(bundle, (character) => character.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));
  const { default: DataTable } = await import(url);
  URL.revokeObjectURL(url);
  for (const [id, table] of Object.entries(report.tables)) {
    const element = document.getElementById(`table-${id}`);
    if (!element) continue;
    const exported = { orthogonal: "export", columns: table.columns.flatMap((column, place) => column.kind === "3d" ? [] : [place]) };
    new DataTable(element, {
      data: table.rows,
      columns: table.columns.map(columnOf),
      order: [],
      deferRender: true,
      autoWidth: false,
      pageLength: 10,
      lengthMenu: [10, 25, 100],
      language: { searchBuilder: { button: { 0: "Filter", _: "Filter (%d)" }, title: { 0: "Conditions", _: "Conditions (%d)" } } },
      layout: {
        topStart: { buttons: [
          { extend: "csv", text: "CSV", filename: `${report.name}-${id}`, title: null, exportOptions: exported },
          { extend: "searchBuilder", config: { columns: exported.columns } },
        ] },
        topEnd: "search", bottomStart: ["pageLength", "info"], bottomEnd: "paging",
      },
    });
    element.dataset.made = "yes";
  }
}
makeTables();
