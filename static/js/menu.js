// Arrow keys inside a popover menu. Opening, closing and Tab are the browser's own.
for (const menu of document.querySelectorAll(".menu[popover]")) {
  const items = [...menu.querySelectorAll("button")];
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open") items[0]?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || !items.length) return;
    event.preventDefault();
    const at = items.indexOf(document.activeElement);
    items[(at + step + items.length) % items.length].focus();
  });
}
