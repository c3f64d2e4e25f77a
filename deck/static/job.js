// Follows a run: its log line by line, its state, and in the end why it failed and its files.
"use strict";

(() => {
  // Lines kept in the page; the raw log has all.
  const MOST = 20000;
  const WIDE = 100000;
  // What others find out when a run has ended takes them a while, in seconds.
  const LATER = [3, 10, 30, 60];
  const COUNTED = 2;
  const ENDED = "Ended";
  let section = document.querySelector("section.log");
  let lines = document.getElementById("lines");
  const news = document.getElementById("news");

  const wanted = () => /^#L(\d+)$/.exec(location.hash)?.[1];

  // A line that the page does not have is asked for.
  function mark() {
    for (const line of document.querySelectorAll(".ln.target")) line.classList.remove("target");
    const number = wanted();
    if (!number) return;
    const line = document.getElementById(`L${number}`);
    if (line) {
      line.classList.add("target");
      return;
    }
    const url = new URL(location.href);
    if (!lines.querySelector(".gap") || "counting" in section.dataset) return;
    if (url.searchParams.get("line") === number) return;
    url.searchParams.set("line", number);
    location.replace(url);
  }

  function replace(id, fresh) {
    const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
    if (old.innerHTML !== now.innerHTML || old.hidden !== now.hidden) old.replaceWith(now);
  }

  addEventListener("hashchange", mark);
  mark();

  // Both ends were there at once; the numbers come when the lines are counted.
  async function recount() {
    const fresh = (await freshPage())?.page;
    const now = fresh?.querySelector("section.log");
    if (!now || "counting" in now.dataset) return setTimeout(recount, COUNTED * 1000);
    delete section.dataset.counting;
    replace("log-meta", fresh);
    lines.replaceWith(fresh.getElementById("lines"));
    lines = document.getElementById("lines");
    mark();
    document.querySelector(".ln.target")?.scrollIntoView();
  }
  if ("counting" in section.dataset) setTimeout(recount, COUNTED * 1000);

  if (!section.dataset.events) return;
  const message = document.getElementById("log-message");
  const note = document.getElementById("log-note");
  const end = document.getElementById("end");
  const follow = document.getElementById("follow");
  follow.closest("label").hidden = false;
  let trimmed = null;
  let top = scrollY;

  const settle = () => { top = scrollY; };
  const isAtEnd = () => end.getBoundingClientRect().top <= innerHeight + 4;

  function toEnd() {
    end.scrollIntoView({ block: "nearest" });
    settle();
  }

  // Whoever scrolls back reads; whoever comes to the end again follows.
  addEventListener("scroll", () => {
    if (scrollY < top - 1) follow.checked = false;
    else if (isAtEnd()) follow.checked = true;
    settle();
  }, { passive: true });
  follow.addEventListener("change", () => { if (follow.checked) toEnd(); });
  if (wanted()) follow.checked = false;
  else toEnd();

  function lastLine() {
    const shown = Number(lines.querySelector(".ln[id]:last-child")?.id.slice(1) ?? 0);
    const known = Number(new URL(section.dataset.events, location.href).searchParams.get("after"));
    return Math.max(shown, known);
  }

  function trim() {
    const over = lines.childElementCount - MOST;
    if (over <= 0) return;
    for (let at = 0; at < over; at++) lines.firstElementChild.remove();
    const first = lines.querySelector(".ln[id]").id.slice(1);
    trimmed ??= document.createElement("div");
    trimmed.className = "gap";
    trimmed.textContent = `The lines before ${first} are not shown here any more; the raw log has all.`;
    lines.prepend(trimmed);
  }

  function append(event) {
    const holder = document.createElement("template");
    holder.innerHTML = event.data;
    lines.append(holder.content);
    trim();
    lines.classList.toggle("wide", lastLine() >= WIDE);
    lines.hidden = false;
    message.hidden = true;
    note.hidden = note.textContent === "";
    if (follow.checked) toEnd();
    else settle();
  }

  function state() {
    return document.querySelector("#facts .state")?.lastChild.textContent.trim() ?? "";
  }

  function take(fresh) {
    for (const id of ["facts", "outcome", "artifacts", "log-meta", "log-note", "log-tools"]) {
      replace(id, fresh);
    }
    if (lines.childElementCount === 0) {
      section.replaceWith(fresh.querySelector("section.log"));
      section = document.querySelector("section.log");
      lines = document.getElementById("lines");
    }
    document.title = fresh.title;
  }

  async function finish() {
    stream.end(ENDED);
    const failed = () => document.getElementById("outcome").childElementCount > 0;
    for (const seconds of [0, ...LATER]) {
      await new Promise((done) => setTimeout(done, seconds * 1000));
      const fresh = (await freshPage())?.page;
      if (!fresh) continue;
      const before = failed();
      take(fresh);
      if (seconds === 0) news.textContent = `The run has ended: ${state()}.`;
      else if (failed() && !before) news.textContent = "The page says now why it failed.";
    }
  }

  function address() {
    const url = new URL(section.dataset.events, location.href);
    url.searchParams.set("after", lastLine());
    return url;
  }

  const handlers = {
    lines: append,
    meta(event) { document.getElementById("log-meta").textContent = event.data; },
    facts(event) {
      document.getElementById("facts").innerHTML = event.data;
      settle();
    },
    done: finish,
  };

  // The run may have ended, or be gone, while nobody listened.
  async function refused() {
    const now = await freshPage();
    if (now?.gone) return "This run is not here any more";
    if (!now || now.page.querySelector("section.log").dataset.events) return "";
    setTimeout(finish);
    return ENDED;
  }

  const stream = keepStream(address, handlers, refused);
})();
