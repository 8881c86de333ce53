// Says once that somebody looks at this page. Programs that fetch it and run this make no gesture.
const told = new AbortController();
function tell(event) {
  if (!event.isTrusted) return;
  told.abort();
  const resolution_context = document.querySelector("[name=resolution_context]").value;
  navigator.sendBeacon(`${location.pathname}/visit`, new URLSearchParams({ resolution_context }));
}
for (const gesture of ["pointermove", "pointerdown", "keydown", "wheel"])
  addEventListener(gesture, tell, { passive: true, signal: told.signal });
