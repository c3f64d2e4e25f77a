// Shows what has changed on the page without a reload, so that text stays marked and what was
// unfolded stays unfolded.
const main = document.querySelector("main");
let shown = main.innerHTML;

function found(what) {
  return [...main.querySelectorAll(what)];
}

async function look() {
  if (document.hidden || !getSelection().isCollapsed) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.querySelector("main").innerHTML;
  if (now === shown || !getSelection().isCollapsed) return;
  const unfolded = found("details").map((details) => details.open);
  const focus = found("a, summary").indexOf(document.activeElement);
  main.innerHTML = now;
  shown = now;
  found("details").forEach((details, at) => (details.open = unfolded[at] ?? false));
  if (focus >= 0) found("a, summary")[focus]?.focus({ preventScroll: true });
}

function lookAgain() {
  setTimeout(() => look().catch(() => {}).finally(lookAgain), 2000);
}

lookAgain();
