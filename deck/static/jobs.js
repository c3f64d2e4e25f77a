// Keeps the list of jobs as it is on the server. Without it the list is as it was when loaded.
"use strict";

(() => {
  const live = document.getElementById("live");
  const news = document.getElementById("news");
  let source = null;
  let changed = 0;

  function parseRow(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.querySelector("tr");
  }

  function count(state, by) {
    if (!state) return;
    for (const key of [state, "all"]) {
      const shown = document.querySelector(`[data-count="${key}"]`);
      if (shown) shown.textContent = Math.max(0, Number(shown.textContent) + by);
    }
  }

  // Newest first; a job that is older than everything shown belongs to a later page.
  function insert(row) {
    const list = document.getElementById("list");
    const rows = document.getElementById("rows");
    if (!rows) return reload();
    const second = Number(row.dataset.second);
    const next = [...rows.children].find((other) => Number(other.dataset.second) <= second);
    if (!next && rows.children.length >= Number(list.dataset.size)) return;
    rows.insertBefore(row, next ?? null);
    row.classList.add("new");
    if (rows.children.length > Number(list.dataset.size)) rows.lastElementChild.remove();
  }

  function apply(change) {
    const first = document.getElementById("list").dataset.first === "true";
    const old = document.getElementById(`job-${change.name}`);
    if (change.from !== change.to) {
      count(change.from, -1);
      count(change.to, 1);
    }
    if (change.row && old) {
      const focus = old.contains(document.activeElement);
      const row = parseRow(change.row);
      old.replaceWith(row);
      if (focus) row.querySelector("a").focus();
    } else if (change.row && first) {
      insert(parseRow(change.row));
    } else if (old) {
      old.remove();
    }
    if (change.from !== change.to) changed += 1;
  }

  async function reload() {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("list").replaceWith(fresh.getElementById("list"));
    listen();
  }

  function show(text, on) {
    live.hidden = false;
    live.textContent = text;
    live.classList.toggle("on", on);
  }

  function listen() {
    source?.close();
    source = new EventSource(document.getElementById("list").dataset.events);
    source.addEventListener("open", () => show("Live", true));
    source.addEventListener("error", () => show("Reconnecting", false));
    source.addEventListener("job", (event) => apply(JSON.parse(event.data)));
    source.addEventListener("reset", reload);
  }

  // One sentence now and then, not one a job.
  setInterval(() => {
    if (changed > 0) news.textContent = changed === 1 ? "One job changed." : `${changed} jobs changed.`;
    changed = 0;
  }, 5000);

  listen();
})();
