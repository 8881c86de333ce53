// Says early enough that the page will close. Counts from load, so a wrong clock does not matter.
const box = document.querySelector("[data-expiry]");
const ends = performance.now() + Number(box.dataset.expiry) * 1000;
let said = 0;

function tick() {
  const seconds = (ends - performance.now()) / 1000;
  if (seconds <= 0) return window.location.reload();
  const minutes = Math.ceil(seconds / 60);
  if (seconds <= 180 && minutes !== said) {
    said = minutes;
    box.hidden = false;
    const left = minutes === 1 ? "in less than a minute" : `in ${minutes} minutes`;
    box.querySelector("[data-expiry-text]").textContent = `This page closes ${left}.`;
  }
  setTimeout(tick, 1000);
}
tick();
