// Keeps times and durations true while a page stays open. Says what view/time.rs says.
"use strict";

const pad = (number) => String(number).padStart(2, "0");

function relative(seconds, iso) {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 2592000) return `${Math.floor(seconds / 86400)} d ago`;
  return iso.slice(0, 10);
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${minutes} min ${pad(seconds % 60)} s`;
  if (seconds < 86400) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${pad(hours % 24)} h`;
}

function tick() {
  const now = Math.floor(Date.now() / 1000);
  for (const time of document.querySelectorAll("time[data-relative]")) {
    time.textContent = relative(now - Math.floor(Date.parse(time.dateTime) / 1000), time.dateTime);
  }
  for (const cell of document.querySelectorAll("[data-running]")) {
    cell.textContent = duration(Math.max(0, now - Number(cell.dataset.running)));
  }
}

setInterval(tick, 1000);
