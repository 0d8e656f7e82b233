// Images that were found, as cards: where the query lies in each, and what it is.

import { record, thumbnail } from "./api.js";
import { fill, h, svg } from "./dom.js";
import { bytes, date, percent, t } from "./i18n.js";
import { nameParts, shownName } from "./names.js";
import { say } from "./toast.js";
import { certainty, sentence, support } from "./words.js";

const time = (one, otherwise) => one ? Date.parse(one) || otherwise : otherwise;

/** Orders by name; each takes matches and what is known of their images. */
export const SORTS = {
  best: () => 0,
  most: (a, b) => b.match.query_overlap - a.match.query_overlap,
  largest: (a, b) => b.match.width * b.match.height - a.match.width * a.match.height,
  newest: (a, b) => time(b.known.taken, -Infinity) - time(a.known.taken, -Infinity) || 0,
  oldest: (a, b) => time(a.known.taken, Infinity) - time(b.known.taken, Infinity) || 0,
  changed: (a, b) => changed(b.match) - changed(a.match) || a.match.query_overlap - b.match.query_overlap,
};

const changed = (match) => match.differing_share ?? 1 - (match.agreement ?? 1);

/** The outline of the query in an image, over its thumbnail. */
export function outline(match) {
  const points = match.reference_region.map(([x, y]) => `${x + 0.5},${y + 0.5}`).join(" ");
  return svg("svg", { class: "outline", viewBox: `0 0 ${match.width} ${match.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points, class: "under" }), svg("polygon", { points, class: "over" }),
    (match.differences ?? []).map(({ reference }) => svg("polygon", { class: "differs", points: reference.map(([x, y]) => `${x + 0.5},${y + 0.5}`).join(" ") })));
}

/** A picture of the index, or what is said in its place. */
export function picture(id, name, px, props = {}) {
  return h("img", {
    src: thumbnail(id, px), alt: name, loading: "lazy", decoding: "async", ...props,
    onerror: (event) => event.target.replaceWith(h("span", { class: "gone", role: "img", "aria-label": t("picture.gone_alt", { name }) }, t("picture.gone"))),
  });
}

/** A name: its end is what matters, its folder is quiet. */
export function nameLine(name) {
  const [folder, file] = nameParts(name);
  return h("p", { class: "name", title: shownName(name) }, folder && h("span", { class: "folder" }, h("bdi", {}, folder)), h("bdi", { class: "file" }, file),
    h("button", { class: "quiet copy", "aria-label": t("copy.name_of", { name: file }), title: t("copy.name"), onclick: async () => {
      try {
        await navigator.clipboard.writeText(shownName(name));
        say(t("copied"));
      } catch {
        say(t("copy.refused", { name: shownName(name) }), { seconds: 20 });
      }
    } }, h("span", { class: "icon copying", "aria-hidden": "true" })));
}

export function bar(probability) {
  const fill = h("span", { class: "full" });
  fill.style.width = `${Math.max(2, 100 * probability)}%`;
  return h("p", { class: "probability", title: t("probability.title") }, h("span", { class: "meter", "aria-hidden": "true" }, fill),
    h("b", {}, percent(probability, 1)), h("span", { class: "quiet" }, certainty(probability)));
}

/**
 * A card.
 * @param {any} match
 * @param {{place: number, onOpen: () => void, onExplain: () => void}} how
 */
export function card(match, { place, onOpen, onExplain }) {
  const details = h("p", { class: "quiet details" }, t("size", { width: String(match.width), height: String(match.height) }));
  record(match.id).then((known) => fill(details, [
    t("size", { width: String(match.width), height: String(match.height) }), bytes(known.bytes), known.taken && date(known.taken), known.camera, known.caption,
  ].filter(Boolean).map((text) => h("span", {}, text))), () => {});
  const [, file] = nameParts(match.name);
  return h("li", { class: "card match", "data-id": String(match.id) },
    h("button", { class: "look", "aria-label": t("match.open", { place, name: file }), onclick: onOpen },
      h("span", { class: "framed" }, picture(match.id, t("match.alt", { place, name: file }), 640), outline(match))),
    h("div", { class: "said" },
      h("p", { class: "sentence" }, sentence(match)), bar(match.probability), h("p", { class: "quiet" }, support(match),
        match.verdict && h("b", { class: "verdict" }, t(`verdict.was_${match.verdict}`))),
      match.names.map(nameLine), details, match.damaged && h("p", { class: "warn" }, t("damaged")),
      h("p", { class: "links" }, h("a", { href: `#/search?id=${match.id}` }, t("search_with")),
        h("a", { href: `#/images/${match.id}` }, t("details")), h("button", { class: "link", onclick: onExplain }, t("explain")))));
}
