// A payment form is sent once: the button says so, and coming back shows the truth from the server.
for (const form of document.querySelectorAll("[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "update") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "true";
    const button = form.querySelector("[data-busy-text]") ?? event.submitter;
    // Not disabled: a disabled button's name and value would not be sent.
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busyText) button.textContent = button.dataset.busyText;
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
document.querySelector("[data-error-summary]")?.focus();
