// What is known of two files, side by side; what differs stands out.

import { fill, h } from "./dom.js";
import { bytes, date, number, t } from "./i18n.js";

/** Values of a picture by the key of their name. */
function valuesOf(facts) {
  const megapixels = facts.width && number((facts.width * facts.height) / 1e6, { maximumSignificantDigits: 2 });
  return {
    "fact.pixels": facts.width ? t("fact.pixels_of", { width: String(facts.width), height: String(facts.height), megapixels }) : "",
    "fact.bytes": facts.bytes ? bytes(facts.bytes) : "",
    "fact.format": facts.format ?? "",
    "fact.taken": facts.taken ? date(facts.taken) : "",
    "fact.changed": facts.mtime_ns > 0 ? date(new Date(facts.mtime_ns / 1e6).toISOString()) : "",
    "fact.camera": facts.camera ?? "",
    "fact.caption": facts.caption ?? "",
    "fact.text": facts.text ?? "",
    "fact.features": facts.features ? number(facts.features) : "",
  };
}

/** A table of one picture's facts, or of two. @param {any[]} sides each with `title` */
export function factsTable(sides) {
  const values = sides.map(valuesOf);
  const rows = Object.keys(values[0]).filter((key) => values.some((one) => one[key])).map((key) => {
    const differs = values.length > 1 && values[0][key] !== values[1][key];
    return h("tr", {}, h("th", { scope: "row" }, t(key)), values.map((one) => h("td", {}, differs ? h("b", {}, one[key] || t("fact.none")) : one[key])));
  });
  return h("table", { class: "facts" },
    sides.length > 1 && h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("fact")), sides.map(({ title }) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows));
}

/** Shows a table, and again once more is known. @param {Element} place @param {(any | Promise<any>)[]} sides */
export async function showFacts(place, sides) {
  const known = sides.map((side) => side instanceof Promise ? {} : side);
  fill(place, known.every((side) => side.width) && factsTable(known));
  const all = await Promise.all(sides.map((side) => Promise.resolve(side).catch(() => ({}))));
  fill(place, factsTable(all));
}
