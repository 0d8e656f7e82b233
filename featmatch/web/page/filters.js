// Which groups are shown, and in which order.

import { h, recall } from "./dom.js";
import { percent, t } from "./i18n.js";

export const FILTERS = { kind: "", least: 0, most: 1, files: 2, folder: "", text: "", state: "" };
const KINDS = ["identical", "copy", "crop", "contains", "overlap", "whole picture", "resized", "rotated", "mirrored", "negative"];
const STATES = ["", "undecided", "marked", "kept", "rejected"];
const ORDERS = {
  size: (a, b) => a.number - b.number, gain: (a, b) => b.gain - a.gain,
  unsure: (a, b) => a.least - b.least, newest: (a, b) => b.newest - a.newest,
};

/** @param {import("./group.js").Group} group */
export function fits(group, { kind, least, most, files, folder, text, state }) {
  const copy = group.members.some((member, at) => (at > 0 || group.members.length === 1 || kind === "identical") &&
    (!kind || group.kinds[at].includes(kind)) && member.probability >= least && (member.probability <= most || most === 1));
  return copy && group.told.files >= files && (!state || (state === "undecided" ? !group.state : group.state === state)) &&
    (!folder || group.names.some((name) => name.startsWith(folder))) && (!text || group.text.includes(text.toLowerCase()));
}

export const sorted = (groups, order) => groups.sort(ORDERS[order]);

/** @param {import("./groups.js").GroupsView} view */
export function filterBar(view) {
  const { filter } = view;
  const change = (name, value) => { filter[name] = value; view.filterSoon(); };
  const counts = new Map(KINDS.map((kind) => [kind, view.groups.filter((group) => group.kinds.some((kinds) => kinds.includes(kind))).length]));
  const select = (words, name, options) => h("label", {}, t(words), h("select", { onchange: (event) => change(name, event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === filter[name] }, text))));
  const slider = (words, name) => {
    const output = h("output", {}, percent(filter[name], 1));
    return h("label", { class: "slider" }, t(words), h("input", { type: "range", min: 0, max: 1, step: 0.005, value: filter[name],
      oninput: (event) => { output.textContent = percent(Number(event.target.value), 1); change(name, Number(event.target.value)); } }), output);
  };
  const field = (words, name, type = "search") => h("label", {}, t(words), h("input", { type, value: filter[name], class: name === "text" ? "find" : "", min: type === "number" ? 2 : null,
    oninput: (event) => change(name, type === "number" ? Number(event.target.value) || 2 : event.target.value) }));
  const sort = h("label", {}, t("sort"), h("select", { onchange: (event) => { view.sort = event.target.value; view.refilter(); } },
    Object.keys(ORDERS).map((order) => h("option", { value: order, selected: order === view.sort }, t(`order.${order}`)))));
  const width = h("label", { class: "slider width" }, t("cards.width"), h("input", { type: "range", min: 120, max: 400, step: 10, value: recall("card width", 220),
    oninput: (event) => view.widen(Number(event.target.value)) }));
  return h("details", { class: "fold filters", open: matchMedia("(min-width: 701px)").matches }, h("summary", {}, t("filters")),
    h("div", { class: "filter-bar" },
      field("filter.text", "text"),
      select("filter.kind", "kind", [["", t("filter.any")], ...KINDS.filter((kind) => counts.get(kind)).map((kind) => [kind, t("filter.of", { words: t(`kind.${kind}`), n: counts.get(kind) })])]),
      select("filter.state", "state", STATES.map((state) => [state, t(state ? `group.is_${state}` : "filter.any")])),
      sort,
      h("details", { class: "fold more" }, h("summary", {}, t("filter.more")), h("div", { class: "filter-bar" },
        slider("filter.least", "least"), slider("filter.most", "most"), field("filter.files", "files", "number"), field("filter.folder", "folder"), width))));
}

