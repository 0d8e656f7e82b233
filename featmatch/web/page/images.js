// The images of the index: looked through, found by words, described, removed and added.

import { about, may } from "./about.js";
import { ask, forget, record } from "./api.js";
import { Adding } from "./adding.js";
import { fill, h, settled, svg } from "./dom.js";
import { drawEmpty, emptyIndex } from "./empty.js";
import { factsTable } from "./facts.js";
import { t } from "./i18n.js";
import { nameParts } from "./names.js";
import { nameLine, picture } from "./results.js";
import { go, here, note, place } from "./routes.js";
import { say } from "./toast.js";
import { trouble } from "./words.js";

const PAGE = 100;
const NEAR_PX = 1000; // how near the end of the grid is before it grows
const MOST_SORTED = 20_000; // images that are asked for at once, to be put in an order

const ORDERS = {
  added: (a, b) => a.id - b.id, name: (a, b) => a.name < b.name ? -1 : 1, largest: (a, b) => b.width * b.height - a.width * a.height,
  bytes: (a, b) => b.bytes - a.bytes, newest: (a, b) => (b.taken ?? "") < (a.taken ?? "") ? -1 : 1,
};

const state = { match: "", order: "added", images: [], next: 0, total: 0, asked: 0, of: -1 };
/** @type {any[]} in the order that is wanted */
let wanted = [];
const grid = h("ul", { class: "thumbs grid" });
const end = h("div", { class: "list-end" });
const count = h("p", { class: "quiet", role: "status", "aria-live": "polite" });
const message = h("div", {});
const top = h("div", { class: "images-head" });
const element = h("section", { class: "view images" });
const adding = new Adding(() => load());
const gone = new Set(); // of which the removal waits

async function load() {
  const asked = ++state.asked;
  Object.assign(state, { images: [], next: 0, of: about.index.images });
  try {
    await more(asked);
    if (state.order !== "added" && state.total <= MOST_SORTED) while (state.next !== null && asked === state.asked) await more(asked, 1000);
    if (asked !== state.asked) return;
    fill(message);
    draw();
  } catch (error) {
    if (asked === state.asked) fill(message, h("div", { class: "state bad", role: "alert" }, h("p", {}, trouble(error, about.limits))));
  }
}

async function more(asked = state.asked, limit = PAGE) {
  if (state.next === null || state.busy === asked) return;
  state.busy = asked;
  try {
    const words = state.match ? `&match=${encodeURIComponent(state.match)}` : "";
    const page = await ask(`v1/images?after=${state.next}&limit=${limit}${words}`);
    if (asked !== state.asked) return;
    state.images.push(...page.images);
    Object.assign(state, { next: page.next, total: page.total });
  } finally {
    if (state.busy === asked) state.busy = 0;
  }
}

new IntersectionObserver(([entry]) => entry.isIntersecting && extend(), { rootMargin: `${NEAR_PX}px` }).observe(end);

const order = () => { wanted = state.images.filter(({ id }) => !gone.has(id)).sort(ORDERS[state.order]); };

/** Draws the grid anew, as far as it was. */
function draw() {
  order();
  const { images: all } = about.index;
  fill(count, !state.match && state.total < all ? t("images.of_files", { n: state.total, all }) : t("status.images", { n: state.total }));
  if (wanted.length) fill(grid, wanted.slice(0, Math.max(grid.children.length, PAGE)).map(cell));
  else if (state.match || adding.isOpen) fill(grid, state.match && h("li", { class: "state" }, t("images.none_match")));
  else { drawEmpty(); fill(grid, h("li", { class: "state" }, emptyIndex)); }
  extend();
}

/** Shows more: a thumbnail is asked for once the reader comes near. */
async function extend() {
  if (!wanted.length || end.getBoundingClientRect().top > innerHeight + NEAR_PX) return;
  const { asked } = state;
  if (grid.children.length === wanted.length && state.order === "added") {
    await more().catch(() => {});
    if (asked !== state.asked) return;
    order();
  }
  const shown = grid.children.length;
  if (shown === wanted.length) return;
  grid.append(...wanted.slice(shown, shown + PAGE).map(cell));
  extend();
}

function cell(image) {
  const name = nameParts(image.name)[1];
  return h("li", {}, h("a", { href: place(["images", String(image.id)]), "aria-label": t("images.open", { name }) }, picture(image.id, name, 320)), h("bdi", { class: "file" }, name));
}

const look = settled((value) => { state.match = value.trim(); load(); }, 300);

function build() {
  fill(top,
    h("label", {}, t("images.find"), h("input", { type: "search", class: "find", oninput: (event) => look(event.target.value) })),
    h("label", {}, t("sort"), h("select", { onchange: (event) => { state.order = event.target.value; load(); } }, Object.keys(ORDERS).map((order) => h("option", { value: order }, t(`images.order.${order}`))))),
    (may.upload || may.add_paths) && h("button", { class: "main", onclick: () => go("#/images?add") }, t("images.add")), count);
  fill(element, top, adding.element, message, grid, end);
}

// One image

let dialog = null;

async function details(id, fromElsewhere) {
  dialog?.remove();
  const body = h("div", { class: "details-body" }, h("p", {}, t("searching")));
  const own = dialog = h("dialog", { class: "image-details", "aria-label": t("details"), onclose: () => {
    own.remove();
    if (dialog !== own) return;
    dialog = null;
    if (here().tab !== "images" || !here().rest.length) return;
    if (fromElsewhere) history.back();
    else note("#/images");
  } }, h("form", { method: "dialog", class: "close-form" }, h("button", { class: "quiet close", "aria-label": t("close") }, "✕")), body);
  document.body.append(own);
  own.showModal();
  try {
    showDetails(body, own, await record(id));
  } catch (error) {
    fill(body, h("p", { class: "warn" }, trouble(error, about.limits)));
  }
}

function showDetails(body, own, image) {
  const name = nameParts(image.name)[1];
  fill(body,
    h("div", { class: "big" }, h("span", { class: "framed" }, picture(image.id, name, 1280, { loading: "eager" })), featureChoice(image)),
    h("div", { class: "said" }, image.names.map(nameLine), factsTable([image]),
      may.write && describing(image),
      h("p", { class: "buttons" }, h("a", { class: "button main", href: `#/search?id=${image.id}`, onclick: () => own.close() }, t("search_with_this")),
        about.can.files && h("a", { class: "button", href: new URL(`v1/images/${image.id}/file`, document.baseURI).href, target: "_blank", rel: "noopener" }, t("images.file")),
        may.write && h("button", { class: "danger", onclick: () => { own.close(); remove(image); } }, t("images.remove")))));
}

/** A switch for the features of an image, drawn on it. */
function featureChoice(image) {
  let drawn;
  return h("label", { class: "check" }, h("input", { type: "checkbox", onchange: async (event) => {
    const framed = event.target.closest(".big").querySelector(".framed");
    try {
      drawn ??= featuresOf(image, (await ask(`v1/images/${image.id}/features`)).features);
      if (event.target.checked) framed.append(drawn);
      else drawn.remove();
    } catch (error) {
      say(trouble(error, about.limits), { bad: true });
    }
  } }), t("images.features", { n: image.features }));
}

function featuresOf({ width, height }, features) {
  return svg("svg", { class: "outline", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    features.map(([x, y, size, angle]) => {
      const [cx, cy] = [x + 0.5, y + 0.5];
      return svg("path", { class: "feature", d: `M${cx - size} ${cy}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0M${cx} ${cy}l${size * Math.cos(angle)} ${size * Math.sin(angle)}` });
    }));
}

function describing(image) {
  return h("form", { class: "text", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await ask(`v1/images/${image.id}`, { method: "PATCH", body: { text: String(new FormData(event.target).get("text")) } });
      forget();
      say(t("images.described"));
    } catch (error) {
      say(trouble(error, about.limits), { bad: true });
    }
  } }, h("label", {}, t("images.text"), h("input", { name: "text", value: image.text ?? "", maxlength: 10000 })), h("button", {}, t("save")));
}

/** Removes an image from the index, once there is no way back any more. */
function remove(image) {
  gone.add(image.id);
  draw();
  const end = async () => {
    if (!gone.has(image.id)) return;
    try {
      await ask(`v1/images/${image.id}`, { method: "DELETE" });
    } catch (error) {
      say(trouble(error, about.limits), { bad: true });
    }
    gone.delete(image.id);
    forget();
    load();
  };
  const timer = setTimeout(end, 8000);
  say(t("images.removed", { name: nameParts(image.name)[1] }), { seconds: 8, action: t("undo"), run: () => { clearTimeout(timer); gone.delete(image.id); draw(); } });
}

/** The view, for the frame of the page. */
export const images = {
  element,
  show({ rest: [id], query }, fromElsewhere) {
    if (!element.hasChildNodes()) {
      build();
      load();
    }
    adding.show(query.has("add"));
    if (!about.index.images && state.asked) draw();
    if (id) details(Number(id), fromElsewhere);
    else dialog?.close();
  },
  keys: {},
  /** The index has changed, it may be. */
  refresh() {
    if (about.index.images !== state.of) load();
  },
  /** Files that were dropped while adding is open are added. */
  takes(files) {
    if (adding.isOpen) adding.upload(files);
    return adding.isOpen;
  },
};

