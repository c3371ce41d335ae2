// Shows the platform as it is now: every ten seconds while somebody looks, without moving what they read.
"use strict";

const interval = 10000;
let tag = null;

function take(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  const main = next.querySelector("main");
  if (!main) return; // the login's page
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
}

// path finds again what had the focus: by the nearest id, and what it is within that.
function path(main, element) {
  if (!element || !main.contains(element)) return null;
  const named = element.closest("[id]");
  const selector = "#" + CSS.escape(named.id);
  return named === element ? selector : selector + " " + element.localName;
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/", {headers: tag ? {"If-None-Match": tag} : {}, cache: "no-store", redirect: "error"});
      if (answer.ok) {
        tag = answer.headers.get("ETag");
        take(await answer.text());
      }
    } catch {
      // The next look tries again: the network, the Pod or the login may be away for a moment.
    }
  }
  setTimeout(look, interval);
}

setTimeout(look, interval);
