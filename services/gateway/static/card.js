// Checkout: card numbers in groups, expiry as MM / YY, the brand's name, and test cards on a click.
// Works on the digits before the caret, so that typing in the middle, paste and autofill all hold.
const field = (name) => document.querySelector(`[name="${name}"]`);
const number = field("card_number");
const expiry = field("card_exp");
const code = field("card_cvc");

const brands = [
  ["Visa", /^4/],
  ["Mastercard", /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/],
  ["Amex", /^3[47]/],
  ["Discover", /^(6011|65|64[4-9])/],
  ["Diners", /^(36|38|30[0-5])/],
  ["JCB", /^35/],
  ["UnionPay", /^62/],
];
const digitsOf = (text) => text.replace(/\D/g, "");
const brandOf = (digits) => brands.find(([, start]) => start.test(digits))?.[0] ?? "";

function grouped(digits) {
  const amex = brandOf(digits) === "Amex";
  const groups = amex ? /^(\d{1,4})(\d{1,6})?(\d{1,5})?/ : /\d{1,4}/g;
  const found = digits.slice(0, amex ? 15 : 19).match(groups) ?? [];
  return (amex ? found.slice(1) : [...found]).filter(Boolean).join(" ");
}

function monthYear(digits) {
  const padded = /^[2-9]/.test(digits) ? `0${digits}` : digits;
  const month = padded.slice(0, 2);
  // Typed or filled in with four digits: 20 is a century here, not a year.
  const year = /^20\d/.test(padded.slice(2)) ? padded.slice(2, 6) : padded.slice(2, 4);
  if (year.length === 4) return `${month} / ${year.slice(2)}`;
  return year ? `${month} / ${year}` : month;
}

function shapeExpiry() {
  expiry.value = expiry.value.replace(/^\s*(\d)\s*[/.-]/, "0$1/");
  keepCaret(expiry, monthYear);
}

function keepCaret(input, shape) {
  const before = digitsOf(input.value.slice(0, input.selectionStart)).length;
  const atEnd = input.selectionStart === input.value.length;
  const shaped = shape(digitsOf(input.value));
  if (shaped === input.value) return;
  input.value = shaped;
  if (document.activeElement !== input) return;
  let caret = atEnd ? shaped.length : 0;
  for (let seen = 0; !atEnd && seen < before && caret < shaped.length; caret += 1) {
    if (/\d/.test(shaped[caret])) seen += 1;
  }
  input.setSelectionRange(caret, caret);
}

function shapeNumber() {
  keepCaret(number, grouped);
  const brand = brandOf(digitsOf(number.value));
  document.querySelector("[data-card-brand]").textContent = brand;
  code.placeholder = brand === "Amex" ? "4 digits" : "CVC";
}

function fill(values) {
  for (const [name, value] of Object.entries(values)) {
    const input = field(name);
    if (!input || (input.value && !name.startsWith("card_"))) continue;
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function fillTestCard(event) {
  const year = String((new Date().getFullYear() + 3) % 100).padStart(2, "0");
  fill({
    card_number: event.currentTarget.dataset.testCard,
    card_exp: `12 / ${year}`,
    card_cvc: "123",
    card_name: "Ada Lovelace",
    email: "ada@example.com",
  });
  document.querySelector(".button-pay").focus();
}

if (number) {
  number.addEventListener("input", shapeNumber);
  expiry.addEventListener("input", shapeExpiry);
  code.addEventListener("input", () => keepCaret(code, (digits) => digits.slice(0, 4)));
  window.addEventListener("pageshow", shapeNumber);
}
for (const card of document.querySelectorAll("[data-test-card]")) card.addEventListener("click", fillTestCard);
