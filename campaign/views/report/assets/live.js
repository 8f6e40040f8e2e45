// A live page: asks now and then whether the campaign has changed, and comes back where the reader was.
(function () {
  const element = document.getElementById("live-data");
  if (element === null) return;
  const live = JSON.parse(element.textContent);
  const note = document.getElementById("live-note");
  const place = `scroll ${location.pathname}`;
  const before = sessionStorage.getItem(place);
  if (before !== null) {
    sessionStorage.removeItem(place);
    window.addEventListener("load", () => window.scrollTo(0, Number(before)));
  }
  async function look() {
    try {
      const answer = await fetch(`${location.pathname}/revision`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const found = await answer.json();
      note.textContent = "live";
      if (found.revision !== live.revision && !document.hidden) {
        sessionStorage.setItem(place, String(window.scrollY));
        location.reload();
      }
    } catch (error) {
      note.textContent = "the server does not answer; this page looks again by itself";
    }
  }
  setInterval(look, 1000 * live.refresh_s);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
})();
