// Chart tip for pointer and arrow keys. It reads the numbers the server put into the chart's own table:
// one source of figures. Without this file the table below the chart says the same.
const SVG = "http://www.w3.org/2000/svg";

function keyFor(series) {
  const key = document.createElementNS(SVG, "svg");
  const swatch = document.createElementNS(SVG, "rect");
  key.setAttribute("class", "key");
  swatch.setAttribute("class", `s${series}`);
  swatch.setAttribute("width", "100%");
  swatch.setAttribute("height", "100%");
  key.append(swatch);
  return key;
}

function fill(tip, heads, cells) {
  const title = document.createElement("strong");
  const table = document.createElement("table");
  title.textContent = cells[0];
  cells.slice(1).forEach((figure, index) => {
    const row = table.insertRow();
    const label = row.insertCell();
    const value = row.insertCell();
    const isTotal = index === cells.length - 2;
    if (!isTotal) label.append(keyFor(index + 1));
    label.append(heads[index + 1]);
    value.textContent = figure;
    value.className = "r";
  });
  tip.replaceChildren(title, table);
}

function place(tip, plot, column) {
  const frame = plot.getBoundingClientRect();
  const box = column.getBoundingClientRect();
  let left = box.right - frame.left + 10;
  if (left + tip.offsetWidth > frame.width) left = box.left - frame.left - tip.offsetWidth - 10;
  tip.style.translate = `${Math.max(0, left)}px 34px`; // CSSOM: allowed under style-src 'self'
}

function wire(plot) {
  if (plot.dataset.wired) return;
  plot.dataset.wired = "";
  const chart = plot.querySelector("svg.chart");
  const tip = plot.querySelector(".tip");
  const texts = (nodes) => [...nodes].map((node) => node.textContent.trim());
  const heads = texts(plot.querySelectorAll("thead th"));
  const rows = plot.querySelectorAll("tbody tr");
  const columns = [...chart.querySelectorAll(".col")];
  let at = columns.length; // the first arrow key to the left lands on the last day

  const mark = (index) => columns.forEach((column, i) => column.classList.toggle("on", i === index));
  const show = (index) => {
    at = Math.max(0, Math.min(columns.length - 1, index));
    mark(at);
    fill(tip, heads, texts(rows[at].children));
    tip.hidden = false;
    place(tip, plot, columns[at]);
  };
  const hide = () => {
    tip.hidden = true;
    mark(-1);
  };

  columns.forEach((column, index) => column.addEventListener("pointerenter", () => show(index)));
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show(at + step);
  });
}

// Charts that htmx brings in are wired as they come.
for (const plot of document.querySelectorAll("[data-plot]")) wire(plot);
document.addEventListener("htmx:load", (event) => {
  for (const plot of event.detail.elt.querySelectorAll("[data-plot]")) wire(plot);
});
