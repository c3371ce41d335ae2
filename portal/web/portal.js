// Shows the platform as it is now: every ten seconds while somebody looks, without moving what they read.
"use strict";

const interval = 10000;
let tag = null;
let seen = new Date(); // when the page was last as the platform was
let looking = false;
let timer = setTimeout(look, interval);

// take shows another state of the page. It is false for what is no such page, as that of the login.
function take(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  const main = next.querySelector("main");
  if (!main) return false;
  const old = document.querySelector("main");
  for (const open of old.querySelectorAll("details[open]")) {
    const same = main.querySelector("#" + CSS.escape(open.id));
    if (same) same.open = true;
  }
  const focused = path(old, document.activeElement);
  const before = old.querySelector("h1").textContent;
  old.replaceWith(main);
  if (focused) main.querySelector(focused)?.focus({preventScroll: true});
  const after = main.querySelector("h1").textContent;
  if (after !== before) document.getElementById("announcement").textContent = after;
  document.title = next.title;
  return true;
}

// path finds again what had the focus: by the nearest id, and what it is within that.
function path(main, element) {
  if (!element || !main.contains(element)) return null;
  const named = element.closest("[id]");
  const selector = "#" + CSS.escape(named.id);
  return named === element ? selector : selector + " " + element.localName;
}

// refresh is whether the page shows how the platform is now.
async function refresh() {
  try {
    const answer = await fetch("/", {headers: tag ? {"If-None-Match": tag} : {}, cache: "no-store", redirect: "error"});
    if (answer.status === 304) return true;
    if (!answer.ok || !take(await answer.text())) return false;
    tag = answer.headers.get("ETag");
    return true;
  } catch {
    return false; // the network, the Pod or the login is away
  }
}

async function look() {
  if (looking) return;
  looking = true;
  clearTimeout(timer);
  if (!document.hidden) {
    const fresh = await refresh();
    if (fresh) seen = new Date();
    else document.querySelector("#stale time").textContent = seen.toLocaleTimeString();
    document.getElementById("stale").hidden = fresh;
  }
  timer = setTimeout(look, interval);
  looking = false;
}

document.addEventListener("visibilitychange", look);
