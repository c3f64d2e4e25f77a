// Keeps the list of jobs as it is on the server. Without it the list is as it was when loaded.
"use strict";

(() => {
  const news = document.getElementById("news");
  let changed = 0;
  // What was heard last; a stream that is opened again goes on from there.
  let last = "";

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
    const fresh = (await freshPage())?.page;
    if (!fresh?.getElementById("list")) return stream.lost();
    document.getElementById("list").replaceWith(fresh.getElementById("list"));
    last = "";
    stream.connect();
  }

  function address() {
    const url = new URL(document.getElementById("list").dataset.events, location.href);
    if (last) url.searchParams.set("since", last);
    return url;
  }

  const handlers = {
    job(event) {
      last = event.lastEventId;
      apply(JSON.parse(event.data));
    },
    reset: reload,
  };

  // One sentence now and then, not one a job.
  setInterval(() => {
    if (changed > 0) news.textContent = changed === 1 ? "One job changed." : `${changed} jobs changed.`;
    changed = 0;
  }, 5000);

  const stream = keepStream(address, handlers, async () => "");
})();
