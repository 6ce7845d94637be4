// Changes the theme without a page load. Without this file the same form posts, and the server sets the cookie.
for (const form of document.querySelectorAll("form[data-theme-form]")) {
  form.addEventListener("submit", (event) => {
    const choice = event.submitter?.value;
    if (!choice) return;
    event.preventDefault();
    const isSystem = choice === "system";
    if (isSystem) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${isSystem ? "" : choice}; path=/; max-age=${isSystem ? 0 : 31536000}; samesite=lax${secure}`;
    for (const button of document.querySelectorAll("form[data-theme-form] button")) {
      button.setAttribute("aria-pressed", String(button.value === choice));
    }
  });
}
