// A group as a row: its original first, then its copies, and how each differs from it.

import { fill, h } from "./dom.js";
import { bytes, date, percent, t } from "./i18n.js";
import { nameLine } from "./results.js";
import { nameParts } from "./names.js";
import { difference } from "./words.js";

/** A member's picture, or what is said in its place. */
export function look(source, member, px) {
  const [, name] = nameParts(member.names[0]);
  const gone = () => h("span", { class: "gone", role: "img", "aria-label": t("picture.gone_alt", { name }) }, t("picture.gone"));
  const url = source.thumbnail(member, px);
  if (!url) return gone();
  const image = h("img", { src: url, alt: name, loading: "lazy", decoding: "async", width: member.width, height: member.height, onerror: (event) => event.target.replaceWith(gone()) });
  const small = source.thumbnail(member, 320);
  if (small !== url) { // what the browser has already, until the large one is there
    image.style.background = `url("${small}") center / contain no-repeat`;
    image.addEventListener("load", () => { image.style.background = ""; }, { once: true });
  }
  return image;
}

/** Why a file stays, or is not proposed. */
function reasonOf(group, member, name) {
  if (member.same_file.includes(name)) return t("stays.same file");
  const why = group.spared[name];
  if (!why || why === "original") return "";
  const key = `stays.${why}`;
  const words = t(key);
  return words === key ? t("stays.otherwise") : words;
}

function fileLine(view, group, member, name) {
  const locked = group.isLocked(name, member);
  const why = reasonOf(group, member, name);
  return h("div", { class: "file-line" },
    h("label", { class: "mark" }, h("input", { type: "checkbox", checked: group.decisions.marked.has(name), disabled: locked, "aria-label": t("mark.file", { name: nameParts(name)[1] }),
      onchange: () => view.toggle(group, [name]) })),
    nameLine(name),
    (member.names.length > 1 && name !== member.names[0] && !why) ? h("p", { class: "quiet" }, t("stays.identical")) : null,
    why && h("p", { class: "quiet" }, why));
}

/** @param {import("./groups.js").GroupsView} view @param {import("./group.js").Group} group */
export function memberCard(view, group, member, px = 320) {
  const original = member === group.original;
  const { source } = view;
  const own = member.names.filter((name) => !member.same_file.includes(name));
  const marked = own.length > 0 && own.every((name) => group.decisions.marked.has(name));
  const facts = [t("size", { width: String(member.width), height: String(member.height) }), bytes(member.bytes), member.format, member.taken && date(member.taken, false), member.camera].filter(Boolean);
  return h("li", { class: `card member${original ? " original" : ""}${marked ? " marked" : ""}`, "data-id": String(member.id) },
    h("button", { class: "look", "aria-label": t(original ? "group.look_original" : "group.compare", { name: nameParts(member.names[0])[1] }),
      onclick: () => view.compareOf(group, member) }, look(source, member, px)),
    h("div", { class: "said" },
      h("p", { class: "sentence" }, original ? h("span", { class: "badge" }, t("group.kept")) : difference(member, group.original),
        !original && member.relation && h("span", { class: "quiet percent", title: t("probability.title") }, percent(member.probability, 1))),
      member.kept && h("p", { class: "quiet" }, t("picture.kept")),
      member.names.map((name) => fileLine(view, group, member, name)),
      h("p", { class: "quiet details" }, facts.map((text) => h("span", {}, text))),
      !original && h("button", { class: "link", onclick: () => view.makeOriginal(group, member) }, t("group.original"))));
}

/** @param {import("./groups.js").GroupsView} view @param {import("./group.js").Group} group */
export function drawRow(view, group, row) {
  const { state } = group;
  row.className = `group ${state}`;
  const by = group.original === group.members[0] && group.told.original_by;
  const said = by && t(`by.${by}`) !== `by.${by}` ? t("group.by", { why: t(`by.${by}`) }) : "";
  return fill(row,
    h("header", {},
      h("h3", {}, h("a", { href: `#/groups/${group.number}` }, t("group.number", { number: String(group.number) }))),
      h("p", { class: "quiet" }, t("group.files", { n: group.told.files }), said && ` · ${said}`, state && h("b", { class: `tag ${state}` }, t(`group.is_${state}`))),
      h("div", { class: "buttons" },
        h("button", { class: "quiet", title: t("group.focus.about"), onclick: () => view.focusOn(group) }, t("group.focus")),
        group.members.length > 1 && h("button", { class: "quiet", title: t("group.different.about"), onclick: () => view.reject(group) }, t(state === "rejected" ? "undo" : "group.different")),
        h("button", { class: "quiet", title: t("group.keep.about"), onclick: () => view.keepAll(group) }, t(state === "kept" ? "undo" : "group.keep")))),
    group.isLost && h("p", { class: "lost", role: "alert" }, t("group.lost"), " ", h("button", { onclick: () => view.keepBest([group]) }, t("group.keep_best"))),
    h("ol", { class: "members" }, group.ordered.map((member) => memberCard(view, group, member))));
}
