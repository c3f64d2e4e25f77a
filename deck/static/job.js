// Follows a run: its log line by line, its state, and in the end its files.
"use strict";

(() => {
  // Lines kept in the page; the raw log has all.
  const MOST = 20000;
  const section = document.querySelector("section.log");
  const lines = document.getElementById("lines");
  const message = document.getElementById("log-message");
  const note = document.getElementById("log-note");
  const follow = document.getElementById("follow");

  function mark() {
    for (const line of document.querySelectorAll(".ln.target")) line.classList.remove("target");
    const id = decodeURIComponent(location.hash.slice(1));
    if (!/^L\d+$/.test(id)) return;
    const line = document.getElementById(id);
    if (!line) return;
    line.classList.add("target");
  }

  addEventListener("hashchange", mark);
  mark();

  const events = section?.dataset.events;
  if (!events) return;
  const live = document.getElementById("live");
  follow.closest("label").hidden = false;

  const end = document.getElementById("end");
  const toEnd = () => end.scrollIntoView({ block: "end" });

  // Whoever has scrolled back reads; whoever is at the end follows.
  function append(html) {
    const atEnd = end.getBoundingClientRect().top <= innerHeight + 40;
    const holder = document.createElement("template");
    holder.innerHTML = html;
    lines.append(holder.content);
    lines.hidden = false;
    message.hidden = true;
    note.hidden = note.textContent === "";
    while (lines.childElementCount > MOST) lines.firstElementChild.remove();
    if (follow.checked && atEnd) toEnd();
  }

  follow.addEventListener("change", () => { if (follow.checked) toEnd(); });

  async function finish() {
    source.close();
    live.hidden = true;
    follow.closest("label").hidden = true;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["facts", "artifacts", "log-meta", "log-note"]) {
      document.getElementById(id).replaceWith(fresh.getElementById(id));
    }
    if (lines.childElementCount === 0) section.replaceWith(fresh.querySelector("section.log"));
    document.title = fresh.title;
    const state = document.querySelector("#facts .state")?.lastChild.textContent.trim() ?? "";
    document.getElementById("news").textContent = `The run has ended: ${state}.`;
  }

  let started = false;
  const source = new EventSource(events);
  source.addEventListener("open", () => {
    // After a break the server tells the rest from where this page was loaded.
    if (started) location.reload();
    started = true;
    live.hidden = false;
    live.textContent = "Live";
    live.classList.add("on");
  });
  source.addEventListener("error", () => {
    live.textContent = "Reconnecting";
    live.classList.remove("on");
  });
  source.addEventListener("lines", (event) => append(event.data));
  source.addEventListener("facts", (event) => {
    document.getElementById("facts").innerHTML = event.data;
  });
  source.addEventListener("done", finish);
})();
