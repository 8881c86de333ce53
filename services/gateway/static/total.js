// Link page: the total follows the buyer's choices, and steppers get their buttons. The server
// computes the real total again; this one only saves a look at the next page.
const form = document.querySelector("[data-total-form]");
const exponent = Number(form.dataset.exponent);
const written = new Intl.NumberFormat(form.dataset.locale, {
  style: "currency",
  currency: form.dataset.currency,
  minimumFractionDigits: exponent,
  maximumFractionDigits: exponent,
});

const minor = (text) => {
  const major = Number(String(text).replace(/\s/g, "").replace(",", "."));
  return Number.isFinite(major) ? Math.max(0, Math.round(major * 10 ** exponent)) : 0;
};

function unitOf(line) {
  const typed = line.querySelector("[data-amount-text]");
  const picked = line.querySelector("[data-amount]:checked");
  if (picked && picked.value !== "other") return minor(picked.value);
  return typed ? minor(typed.value) : Number(line.dataset.unit);
}

function countOf(line) {
  const input = line.querySelector("[data-quantity]");
  return input ? Math.max(0, Math.trunc(Number(input.value) || 0)) : Number(line.dataset.count);
}

function refresh() {
  const lines = [...form.querySelectorAll("[data-line]")];
  const total = lines.reduce((sum, line) => sum + unitOf(line) * countOf(line), 0);
  form.querySelector("[data-total]").textContent = written.format(total / 10 ** exponent);
  for (const button of form.querySelectorAll("[data-step]")) button.disabled = atBound(button);
}

const inputOf = (button) => button.parentElement.querySelector("input");

function atBound(button) {
  const input = inputOf(button);
  const bound = button.dataset.step < 0 ? input.min : input.max;
  return bound !== "" && Number(input.value) === Number(bound);
}

for (const button of form.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => {
    const input = inputOf(button);
    if (button.dataset.step < 0) input.stepDown();
    else input.stepUp();
    refresh();
  });
}
form.addEventListener("input", refresh);
form.addEventListener("change", (event) => {
  if (event.target.value === "other") event.target.closest(".choice").querySelector("[data-amount-text]").focus();
});
window.addEventListener("pageshow", refresh);
