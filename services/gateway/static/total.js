// Link page: the total follows the buyer's choices, and steppers get their buttons. The server
// computes the real total again; this one only saves a look at the next page.
const form = document.querySelector("[data-total-form]");
const exponent = Number(form.dataset.exponent);
const money = new Intl.NumberFormat(form.dataset.locale, {
  style: "currency",
  currency: form.dataset.currency,
  minimumFractionDigits: exponent,
  maximumFractionDigits: exponent,
});
const written = (minor) => money.format(minor / 10 ** exponent);

// What was typed, in minor units, by the same rules as amounts.py; null when it is no amount.
function minorOf(text) {
  const plain = text
    .replace(/[\u061c\u200e\u200f]/g, "")
    .replace(/^[\p{L}\p{Sc}\s]+|[\p{L}\p{Sc}\s]+$/gu, "")
    .replace(/[٠-٩۰-۹]/g, (digit) => digit.charCodeAt(0) & 15)
    .replace(/['’٬\s]/g, " ");
  const mark = decimalMark(plain);
  if (mark === null) return null;
  const [whole, decimals = ""] = mark ? plain.split(mark) : [plain];
  const isWhole = /^(\d*|\d{1,3}([ .,])(\d{2,3}\2)*\d{3})$/.test(whole);
  if (!isWhole || whole.length > 20 || !/^\d*$/.test(decimals) || decimals.length > exponent) return null;
  return whole + decimals ? Number(whole.replace(/\D/g, "") + decimals.padEnd(exponent, "0")) : null;
}

function decimalMark(plain) {
  const mark = plain.match(/[.,٫](?=[^.,٫]*$)/)?.[0] ?? "";
  const others = plain.replace(/[^.,٫]/g, "");
  if (others.split(mark).length !== 2) return "";
  const isGroup = others.length === 1 && mark === form.dataset.group && /\D\d{3}$/.test(plain);
  if (!isGroup) return mark;
  return exponent < 3 ? "" : null;
}

function unitOf(line) {
  const picked = line.querySelector("[data-amount]:checked");
  if (picked && picked.value !== "other") return Number(picked.value.replace(".", ""));
  const typed = line.querySelector("[data-amount-text]");
  return (typed && minorOf(typed.value)) ?? Number(line.dataset.unit);
}

function countOf(line) {
  const input = line.querySelector("[data-quantity]");
  return input ? Math.max(0, Math.trunc(Number(input.value) || 0)) : Number(line.dataset.count);
}

// What covers the fees, said beside its box; counted when the box is ticked.
function feesOf(line, gift) {
  const fees = line.querySelector("[data-fees]");
  if (!fees) return 0;
  const step = Number(fees.dataset.step);
  const kept = BigInt(step) * (1000000n - BigInt(fees.dataset.fees));
  const due = BigInt(gift + Number(fees.dataset.fixed)) * 1000000n;
  const added = step * Number((due + kept - 1n) / kept) - gift;
  fees.querySelector("[data-fees-said]").hidden = gift === 0;
  fees.querySelector("[data-fees-added]").textContent = written(added);
  fees.querySelector("[data-fees-base]").textContent = written(gift);
  return gift && fees.querySelector("input").checked ? added : 0;
}

function refresh() {
  let total = 0;
  for (const line of form.querySelectorAll("[data-line]")) {
    const unit = unitOf(line);
    total += unit * countOf(line) + feesOf(line, unit);
  }
  form.querySelector("[data-total]").textContent = written(total);
  for (const button of form.querySelectorAll("[data-step-by]")) button.disabled = atBound(button);
}

const inputOf = (button) => button.parentElement.querySelector("input");

function atBound(button) {
  const input = inputOf(button);
  const bound = button.dataset.stepBy < 0 ? input.min : input.max;
  return bound !== "" && Number(input.value) === Number(bound);
}

for (const button of form.querySelectorAll("[data-step-by]")) {
  button.addEventListener("click", () => {
    const input = inputOf(button);
    const was = Number(input.value);
    if (button.dataset.stepBy < 0) input.stepDown();
    else input.stepUp();
    // Sold so many at a time or not at all: one step from none to the least of it, and back.
    const least = Number(input.dataset.least || 0);
    if (Number(input.value) < least) input.value = Number(input.value) > was ? least : 0;
    refresh();
  });
}
form.addEventListener("input", refresh);
form.addEventListener("change", (event) => {
  if (event.target.value === "other") event.target.closest(".choice").querySelector("[data-amount-text]").focus();
});
window.addEventListener("pageshow", refresh);
