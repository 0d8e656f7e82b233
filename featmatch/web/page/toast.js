// Short messages that go by themselves, with a way back.

import { h } from "./dom.js";

const place = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** Where messages appear: within the dialog that is open, or they could not be reached. */
const home = () => [...document.querySelectorAll("dialog:modal")].pop() ?? document.body;

/**
 * Says something.
 * @param {string} text
 * @param {{action?: string, run?: () => void, seconds?: number, bad?: boolean}} [more]
 */
export function say(text, { action, run, seconds = 6, bad = false } = {}) {
  home().append(place);
  const message = h("div", { class: bad ? "toast bad" : "toast" }, h("span", {}, text),
    action && h("button", { onclick: () => { message.remove(); run(); } }, action));
  place.append(message);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => message.remove(), 1000 * seconds);
}

addEventListener("close", (event) => {
  if (event.target instanceof Element && event.target.contains(place)) document.body.append(place);
}, true);
