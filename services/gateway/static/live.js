// Checkout: tip, coupon and address change the total in place, so that what is typed stays typed.
// Posts the same forms the page works with when there is no script, minus anything of the card.
const pay = document.querySelector("[data-pay]");

const isCardAsked = (page) => Boolean(page.querySelector("[data-card]"));

function say(...what) {
  document.querySelector('[data-live="messages"]').replaceChildren(...what);
}

function paragraph(text, className) {
  const line = document.createElement("p");
  line.textContent = text;
  line.className = className;
  return line;
}

function tellOutcome(fresh) {
  const wrong = fresh.querySelector("[data-error-summary]");
  const total = document.querySelector('[data-live="amount"] h1').textContent;
  say(wrong ?? paragraph(total, "sr-only"));
  wrong?.focus();
}

function place(html) {
  // Its colours are the ones already here; parsing them again would only upset the policy.
  const plain = html.replace(/<style[^>]*>[^<]*<\/style>/, "");
  const fresh = new DOMParser().parseFromString(plain, "text/html");
  const isSamePage = fresh.querySelector("[data-pay]") && isCardAsked(fresh) === isCardAsked(document);
  if (!isSamePage) return window.location.reload();
  const held = document.activeElement?.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (next) part.replaceChildren(...next.childNodes);
  }
  const token = fresh.querySelector('[name="form_token"]').value;
  for (const input of document.querySelectorAll('[name="form_token"]')) input.value = token;
  if (held) document.getElementById(held)?.focus();
  tellOutcome(fresh);
}

let asked = 0;

async function update(form, extra) {
  const body = new URLSearchParams(new FormData(form));
  for (const name of [...body.keys()]) if (name.startsWith("card_")) body.delete(name);
  body.set("action", "update");
  for (const [name, value] of Object.entries(extra)) body.set(name, value);
  const mine = (asked += 1);
  const target = form === pay ? pay.dataset.updateUrl : form.getAttribute("action");
  try {
    const answer = await fetch(target, { method: "POST", body });
    const html = await answer.text();
    if (mine === asked) place(html); // else a newer choice is on its way
  } catch {
    say(paragraph("The total could not be updated. Please check your connection and try again.", "notice notice-warn"));
  }
}

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  const isUpdate = event.target.matches("[data-update]") || button?.value === "update";
  if (!isUpdate) return;
  event.preventDefault();
  const extra = button?.name && button.name !== "action" ? { [button.name]: button.value } : {};
  update(event.target, extra);
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (event.target.matches("[data-taxed]")) update(pay, {});
  if (!form?.matches("[data-update-on-change]")) return;
  const custom = form.querySelector('[value="custom"]');
  const typed = form.querySelector('[name="tip_custom"]');
  if (custom?.checked && !typed.value) typed.focus();
  else update(form, {});
});
