// The first screen, renewed while the server makes the report; then the whole page.
(function () {
  const live = JSON.parse(document.getElementById("live-data").textContent);
  const note = document.getElementById("live-note");
  const ask = async (what) => {
    const answer = await fetch(`${location.pathname}/${what}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.json();
  };
  async function show() {
    try {
      const found = await ask("now");
      for (const [id, text] of [["state", found.state], ["now-time", found.at]]) document.getElementById(id).textContent = text;
      document.getElementById("now").innerHTML = found.html;
      note.textContent = "live";
    } catch (error) {
      note.textContent = "the server does not answer; this page keeps asking";
    }
  }
  async function wait() {
    const answer = await fetch(`${location.pathname}/revision`, { cache: "no-store" }).catch(() => null);
    if (answer === null || answer.status === 503) return; // the server or its database is away
    if (!answer.ok) {
      clearInterval(waiting);
      document.getElementById("report-note").textContent = `The report cannot be made: ${await answer.text()}`;
    } else if ((await answer.json()).revision !== null) location.reload();
  }
  const waiting = setInterval(wait, 1000 * live.refresh_s);
  setInterval(show, 1000 * live.refresh_s);
})();
