// A live page: asks now and then what has changed. The first screen and the figures of what happens change in place;
// the report below is loaded anew, where the reader was, unless the reader is at work in it: then a button offers it.
(function () {
  const element = document.getElementById("live-data");
  if (element === null) return;
  const live = JSON.parse(element.textContent);
  const note = document.getElementById("live-note");
  const now = document.getElementById("now");
  const renew = document.getElementById("renew");
  const place = `scroll ${location.pathname}`;
  const before = sessionStorage.getItem(place);
  if (before !== null) {
    sessionStorage.removeItem(place);
    window.addEventListener("load", () => window.scrollTo({ top: Number(before), behavior: "instant" }));
  }
  let touched = false;
  const main = document.querySelector("main");
  for (const kind of ["pointerdown", "keydown", "input", "change"]) {
    main.addEventListener(kind, () => { touched = true; }, { capture: true });
  }

  async function ask(what) {
    const answer = await fetch(`${location.pathname}/${what}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.json();
  }

  function isBeingRead() {
    const chosen = document.getSelection();
    return (chosen !== null && !chosen.isCollapsed && now.contains(chosen.anchorNode)) || now.contains(document.activeElement);
  }

  // What is below stays where it is on the screen, unless the first screen itself is being looked at.
  function showNow(found) {
    const state = document.getElementById("state");
    state.textContent = found.state;
    state.className = `state ${found.state === "finished" ? "finished" : ""}`;
    if (now.dataset.shown === found.html || !isBeingRead()) document.getElementById("now-time").textContent = found.at;
    if (now.dataset.shown !== found.html && !isBeingRead()) {
      const bottom = now.getBoundingClientRect().bottom;
      now.innerHTML = found.html;
      now.dataset.shown = found.html;
      if (bottom < 0) window.scrollBy({ top: now.getBoundingClientRect().bottom - bottom, behavior: "instant" });
    }
    for (const [id, figure] of Object.entries(found.figures)) {
      const plot = document.getElementById(`plot-${id}`);
      report.figures[id] = figure;
      if (plot === null) continue;
      const { notes, height } = found.beside[id];
      plot.style.height = `${height}px`;
      for (const old of plot.parentElement.querySelectorAll(".note")) old.remove();
      plot.after(...notes.map((text) => Object.assign(document.createElement("p"), { className: "note", textContent: text })));
      if (plot.dataset.drawn) draw(plot, figure.data, figure.layout);
    }
  }

  function loadAgain() {
    sessionStorage.setItem(place, String(window.scrollY));
    location.reload();
  }
  renew.addEventListener("click", loadAgain);

  let isLooking = false;
  async function look() {
    if (isLooking) return; // a busy server is asked one thing at a time
    isLooking = true;
    try {
      showNow(await ask("now"));
      note.textContent = "live";
      const { revision } = await ask("revision");
      if (revision === null || revision === live.revision || document.hidden) return;
      if (touched || viewer.open) renew.hidden = false;
      else loadAgain();
    } catch (error) {
      note.textContent = "the server does not answer; this page keeps asking";
    } finally {
      isLooking = false;
    }
  }
  look();
  setInterval(look, 1000 * live.refresh_s);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
})();
