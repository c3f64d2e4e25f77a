// A stream of events for as long as somebody looks. A hidden tab has none: a browser has six
// connections for all its tabs. Whatever ends it, it is tried again, and the page says so.
"use strict";

// `address()` is where it goes on; `handlers` are called by the events' names; `refused()` says why
// it is of no use to try again, if it is.
function keepStream(address, handlers, refused) {
  const FIRST = 1;
  const LONGEST = 30;
  const live = document.getElementById("live");
  let source = null;
  let timer = 0;
  let pause = FIRST;
  let ended = false;

  function show(text, on) {
    live.hidden = false;
    live.textContent = text;
    live.classList.toggle("on", on);
  }

  function disconnect() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function connect() {
    disconnect();
    if (ended || document.hidden) return;
    show("Connecting", false);
    source = new EventSource(address());
    source.addEventListener("open", () => {
      pause = FIRST;
      show("Live", true);
    });
    source.addEventListener("error", lost);
    for (const name of Object.keys(handlers)) source.addEventListener(name, handlers[name]);
  }

  function count(left) {
    if (left <= 0) return connect();
    show(`Not connected, next try in ${left} s`, false);
    timer = setTimeout(count, 1000, left - 1);
  }

  async function lost() {
    disconnect();
    const left = pause;
    pause = Math.min(pause * 2, LONGEST);
    show("Not connected", false);
    const over = await refused();
    if (over) return end(over);
    if (!ended && !document.hidden) count(left);
  }

  function end(text) {
    ended = true;
    disconnect();
    show(text, false);
  }

  document.addEventListener("visibilitychange", () => {
    pause = FIRST;
    if (document.hidden) disconnect();
    else if (!source) connect();
  });

  connect();
  return { connect, lost, end };
}

// The page as it is on the server now; `null` if it cannot be had.
async function freshPage() {
  try {
    const answer = await fetch(location.href);
    if (answer.status === 404) return { gone: true };
    if (!answer.ok) return null;
    return { page: new DOMParser().parseFromString(await answer.text(), "text/html") };
  } catch {
    return null;
  }
}
