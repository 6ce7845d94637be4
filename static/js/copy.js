// Buttons that copy the text of a field. Listens on the document, since parts of a page are replaced.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  const field = button && document.getElementById(button.dataset.copy);
  if (!field) return;
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    // not allowed here: the text is selected, so Ctrl-C copies it
  }
});
