// Answers to several pictures as one file.

import { download } from "./dom.js";
import { shownName } from "./names.js";

const COLUMNS = ["query", "status", "name", "id", "probability", "kind", "rotation_deg", "scale", "mirrored", "negative", "query_overlap", "reference_overlap", "inliers"];

/** A field of CSV; what a spreadsheet would take for a formula is text. */
export function field(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {import("./queries.js").Query[]} queries @param {string} form "csv" or "json" */
export function saveAnswers(queries, form) {
  const answers = queries.map(({ name, answer, error }) => ({ ...(answer ?? { status: error?.code, matches: [] }), query: name }));
  if (form === "json") {
    download([JSON.stringify(answers, null, 1)], "featmatch.json", "application/json");
    return;
  }
  const rows = answers.flatMap(({ query, status, matches }) => matches.length
    ? matches.map((match) => ({ ...match, ...match.relation, query: shownName(query), status, name: shownName(match.name) })) : [{ query: shownName(query), status }]);
  download([[COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))].map((row) => `${row.map(field).join()}\r\n`).join("")], "featmatch.csv", "text/csv");
}
