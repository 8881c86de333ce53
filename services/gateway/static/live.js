// Checkout: tip, coupon and address change the total in place, so that what is typed stays typed.
// Posts the same forms the page works with when there is no script, minus anything of the card.
const pay = document.querySelector("[data-pay]");

function place(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const parts = [...document.querySelectorAll("[data-live]")];
  if (!fresh.querySelector("[data-live]")) return window.location.reload();
  for (const part of parts) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (next) part.replaceChildren(...next.childNodes);
  }
  const total = document.querySelector('[data-live="amount"]').textContent.replace(/\s+/g, " ");
  const wrong = fresh.querySelector(".notice-danger");
  const said = document.querySelector('[data-live="messages"]');
  said.replaceChildren(...(wrong ? [wrong] : []));
  if (!wrong) said.innerHTML = '<p class="sr-only"></p>';
  if (!wrong) said.firstChild.textContent = total;
  for (const token of document.querySelectorAll('[name="form_token"]')) {
    token.value = fresh.querySelector('[name="form_token"]')?.value ?? token.value;
  }
}

async function update(form, extra) {
  const body = new URLSearchParams(new FormData(form));
  for (const name of [...body.keys()]) if (name.startsWith("card_")) body.delete(name);
  body.set("action", "update");
  for (const [name, value] of Object.entries(extra)) body.set(name, value);
  const target = form === pay ? pay.dataset.updateUrl : form.getAttribute("action");
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(target, { method: "POST", body });
    place(await answer.text());
  } catch {
    form.submit();
  } finally {
    document.body.removeAttribute("aria-busy");
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
