// While a payment is confirmed: the server says when there is somewhere to go. Without a stream the
// page asks again by itself.
const waiting = document.querySelector("[data-status-url]");
const stream = new EventSource(waiting.dataset.statusUrl);
let failures = 0;

function leave(target) {
  stream.close();
  window.location.replace(new URL(target || window.location.href, window.location.href));
}

stream.addEventListener("status", (event) => {
  failures = 0;
  const { status, next } = JSON.parse(event.data);
  if (next || status !== "processing") leave(next);
});
stream.addEventListener("error", () => {
  failures += 1;
  if (failures === 3) leave();
});
setTimeout(() => {
  document.querySelector("[data-status-text]").textContent =
    "Still waiting for your bank. You can close this page: the payment goes on, and you are charged at most once.";
}, 12000);
// A proxy that holds the stream back must not hold the buyer back.
setTimeout(() => leave(), 30000);
