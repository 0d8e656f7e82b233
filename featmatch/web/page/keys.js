// The keyboard: the map on top has the keys; single letters can be switched off (WCAG 2.1.4).

import { h, keep, recall } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{ [key: string]: { words: string, run: (event: KeyboardEvent) => void } }} KeyMap */

/** @type {KeyMap[]} */
const maps = [{}];
let before = "";
let on = recall("single keys", true);

/** Keys that hold everywhere. @param {KeyMap} map */
export const always = (map) => Object.assign(maps[0], map);

/** Keys of a view or a dialog, until the function that is given back is called. @param {KeyMap} map */
export function take(map) {
  maps.push(map);
  return () => {
    const at = maps.indexOf(map);
    if (at > 0) maps.splice(at, 1);
  };
}

const writing = (target) => target.matches?.("input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable]");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || writing(event.target)) return;
  const own = event.target instanceof HTMLElement && event.target.closest("[data-own-keys]");
  if (own && event.key.startsWith("Arrow")) return;
  const sequence = before ? `${before} ${event.key}` : event.key;
  before = "";
  const single = event.key.length === 1 && event.key !== " ";
  if (single && !on && event.key !== "?") return;
  const pressed = (event.key === "Enter" || event.key === " ") && event.target instanceof HTMLElement &&
    event.target.closest("button, a[href], summary, input");
  if (pressed) return; // it is the button's
  const modal = document.querySelector("dialog:modal");
  const known = modal && !modal.hasAttribute("data-keys") ? [] : maps.length > 1 ? [maps[maps.length - 1], maps[0]] : [maps[0]];
  if (known.some((map) => Object.keys(map).some((key) => key.startsWith(`${sequence} `)))) {
    before = sequence;
    return;
  }
  const found = known.map((map) => map[sequence]).find(Boolean);
  if (!found) return;
  event.preventDefault();
  found.run(event);
});

const SHOWN = { " ": "key.space", ArrowLeft: "key.left", ArrowRight: "key.right", Escape: "key.escape", Enter: "key.enter_key" };

/** The list of keys that hold now. */
export function showKeys() {
  const rows = [...maps].reverse().flatMap((map) => Object.entries(map)).map(([key, { words }]) =>
    h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, SHOWN[key] ? t(SHOWN[key]) : key)), h("td", {}, t(words))));
  const dialog = h("dialog", { class: "small", "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("h2", { id: "keys-title" }, t("keys.title")),
    h("table", { class: "keys" }, h("tbody", {}, rows)),
    h("label", { class: "check" }, h("input", {
      type: "checkbox", checked: on, onchange: (event) => keep("single keys", on = event.target.checked),
    }), t("keys.single")),
    h("form", { method: "dialog" }, h("button", {}, t("close"))));
  document.body.append(dialog);
  dialog.showModal();
}

/** A title with its key, as buttons have it. */
export const withKey = (words, key) => t("keys.with", { words: t(words), key: SHOWN[key] ? t(SHOWN[key]) : key });
