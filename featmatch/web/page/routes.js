// Where the reader is: `#/search/q_7Hs/40?view=curtain`. Back, reload and links work.

/** @returns {{tab: string, rest: string[], query: URLSearchParams}} */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [tab = "", ...rest] = path.split("/").map(decodeURIComponent);
  return { tab, rest: rest.filter(Boolean), query: new URLSearchParams(query) };
}

/** The address of a place. @param {string[]} parts @param {Object<string, string>} [query] */
export function place(parts, query = {}) {
  const asked = new URLSearchParams(query).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${asked && `?${asked}`}`;
}

/** Goes there; `instead`: Back does not lead here again. */
export function go(hash, instead = false) {
  if (hash === location.hash) return;
  history[instead ? "replaceState" : "pushState"](null, "", hash);
  dispatchEvent(new Event("hashchange"));
}

/** Writes down where the reader is, who is there already. */
export const note = (hash) => history.replaceState(null, "", hash);
