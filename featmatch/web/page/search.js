// Search: drop, paste or choose a picture, and see where it is from.

import { address, ask, record, thumbnail } from "./api.js";
import { about, may } from "./about.js";
import { compare, endComparison } from "./compare.js";
import { fill, h, settled } from "./dom.js";
import { drawEmpty, emptyIndex } from "./empty.js";
import { explain } from "./explain.js";
import { listed, t, number } from "./i18n.js";
import { take } from "./keys.js";
import { nameParts, shownName } from "./names.js";
import { Query, isProven } from "./queries.js";
import { Region } from "./region.js";
import { SORTS, card, picture } from "./results.js";
import { go, note, place } from "./routes.js";
import { saveAnswers } from "./saving.js";
import { say } from "./toast.js";
import { sentence, support, trouble } from "./words.js";
import { judge } from "./verdicts.js";

/** @type {Query[]} */
const queries = [];
/** @type {Query | null} */
let current = null;
let sort = "best", kind = "";
const narrow = matchMedia("(max-width: 700px)");
const element = h("section", { class: "view search" });

// What is asked

/** Looks files up, and shows the first. */
export function lookUp(files) {
  const made = [...files].map((file) => new Query({ file, name: file.name || t("pasted") }));
  if (!made.length) return;
  queries.push(...made);
  pick(made[0]);
  run();
}

function add(given) {
  const query = new Query(given);
  queries.push(query);
  pick(query);
  run();
}

let running = false;

/** Looks up what waits, one at a time; first what is looked at. */
async function run() {
  if (running) return;
  running = true;
  for (;;) {
    const next = current?.state === "waiting" ? current : queries.find(({ state }) => state === "waiting");
    if (!next) break;
    next.addEventListener("change", () => changed(next));
    await next.search(about.limits);
  }
  running = false;
}

function changed(query) {
  if (query === current) {
    drawResults();
    drawQuery();
    if (query.state === "done") {
      note(place(["search", query.answer.query_id]));
      if (narrow.matches && !query.seen) parts.summary.scrollIntoView(); // it is below the picture there
      query.seen = true;
    }
  }
  drawQueue();
}

function pick(query) {
  current = query;
  kind = "";
  draw();
  if (query?.answer) note(place(["search", query.answer.query_id]));
}

const again = settled((query) => query.search(about.limits), 300);

function askAgain(options) {
  Object.assign(current.options, options);
  if (current.state !== "waiting") again(current);
}

// How it is drawn

const parts = {
  query: h("div", { class: "query" }), results: h("div", { class: "results", "aria-busy": "false" }),
  queue: h("div", { class: "queue" }), summary: h("p", { class: "summary", role: "status", "aria-live": "polite" }),
};

function draw() {
  if (!current) fill(element, emptyState());
  else {
    fill(element, h("div", { class: "asked" }, parts.queue, parts.query), h("div", { class: "found" }, parts.summary, parts.results));
    buildQuery();
    drawQueue();
    drawResults();
  }
}

function chooser(words, props = {}) {
  const input = h("input", { type: "file", accept: "image/*,.heic,.heif,.avif,.pdf,.tif,.tiff,.dng,.nef,.cr2,.arw", multiple: true, class: "unseen", tabindex: "-1",
    "aria-hidden": "true", ...props, onchange: (event) => { lookUp(event.target.files); event.target.value = ""; } });
  return h("span", {}, input, h("button", { class: props.capture ? "camera" : "", onclick: () => input.click() }, t(words)));
}

function addressForm() {
  return h("form", { class: "address", onsubmit: (event) => {
    event.preventDefault();
    const url = new FormData(event.target).get("url");
    add({ url: String(url), name: String(url) });
  } }, h("label", {}, t("search.address"), h("input", { type: "url", name: "url", required: true, placeholder: t("search.address_hint") })), h("button", {}, t("search")));
}

function emptyState() {
  const examples = h("div", { class: "examples" });
  showExamples(examples);
  const field = h("div", { class: "drop" },
    h("span", { class: "icon drop-picture", "aria-hidden": "true" }),
    h("h2", {}, t("search.drop")), h("p", { class: "quiet" }, t("search.drop_more")),
    h("p", { class: "buttons" }, chooser("search.choose"), chooser("search.camera", { capture: "environment", multiple: false }),
      h("a", { class: "button", href: "#/images" }, t("search.of_index"))),
    about.can.fetch && addressForm());
  if (about.index.images) return [field, examples];
  drawEmpty();
  return [emptyIndex, field]; // that is said first
}

/** Some images of the index, to begin with. */
async function showExamples(box) {
  const { images: total } = about.index;
  if (!total) return;
  const page = await ask(`v1/images?limit=60&after=${Math.floor(Math.random() * Math.max(total - 60, 0))}`);
  const some = page.images.sort(() => Math.random() - 0.5).slice(0, 6);
  fill(box, h("h2", {}, t("search.examples")), h("ul", { class: "thumbs" }, some.map((image) => h("li", {}, h("a", { href: `#/search?id=${image.id}`, "aria-label": t("search.with", { name: nameParts(image.name)[1] }) },
    picture(image.id, nameParts(image.name)[1], 320))))));
}

/** @type {Region} */
let region;
const facts = h("p", { class: "quiet" });

function buildQuery() {
  const query = current;
  const image = h("img", { alt: t("query.alt", { name: query.name }), draggable: "false" });
  image.addEventListener("load", () => { region.element.hidden = false; });
  image.addEventListener("error", () => {
    region.element.hidden = true; // there is nothing to draw on
    if (query.unseen || !query.answer) { query.unseen = true; return; }
    query.unseen = true;
    image.src = query.pictures[query.pictures.length - 1];
  });
  region = new Region(image, (box) => askAgain({ region: box }));
  region.element.hidden = !query.pictures.length;
  const { limit, all, match } = query.options;
  fill(parts.query,
    region.element, h("p", { class: "name" }, h("bdi", { class: "file" }, shownName(query.name))), facts,
    h("details", { class: "fold options" }, h("summary", {}, t("options")),
      h("label", {}, t("options.limit"), h("input", { type: "number", min: 1, max: 100, value: limit, onchange: (event) => askAgain({ limit: Math.min(Math.max(Number(event.target.value) || 20, 1), 100) }) })),
      h("label", {}, t("options.match"), h("input", { type: "search", value: match, placeholder: t("options.match_hint"), onchange: (event) => askAgain({ match: event.target.value.trim() }) })),
      h("label", { class: "check" }, h("input", { type: "checkbox", class: "unproven", checked: all, onchange: (event) => askAgain({ all: event.target.checked }) }), t("options.all"))),
    h("p", { class: "buttons" }, chooser("search.another"), h("button", { class: "quiet", onclick: () => { queries.length = 0; current = null; note("#/search"); draw(); } }, t("search.clear"))));
  drawQuery();
}

function drawQuery() {
  const query = current;
  const [source] = query.unseen ? query.pictures.slice(-1) : query.pictures;
  if (source && region.image.src !== source && !region.image.src.startsWith("blob:")) region.image.src = source;
  if (query.unseen && source && !source.startsWith("blob:")) region.image.src = source;
  if (query.answer) {
    region.setSize(query.answer.width, query.answer.height);
    fill(facts, t("search.size", { width: String(query.answer.width), height: String(query.answer.height), n: query.answer.features }));
  } else fill(facts);
  parts.query.querySelector(".unproven").checked = query.options.all;
}

function drawQueue() {
  if (queries.length < 2) { fill(parts.queue); return; }
  const done = queries.filter(({ state }) => state === "done" || state === "failed");
  fill(parts.queue, h("h2", {}, t("queue.title", { n: queries.length })),
    h("ul", {}, queries.map((query) => h("li", {}, h("button", { "aria-pressed": String(query === current), onclick: () => pick(query) },
      query.url && !query.unseen ? h("img", { src: query.url, alt: "", loading: "lazy" }) : h("span", { class: "blank" }),
      h("bdi", { class: "file" }, shownName(query.name)), h("span", { class: "count" }, queueWords(query)))))),
    h("p", { class: "buttons" }, ["csv", "json"].map((form) => h("button", { disabled: !done.length, onclick: () => saveAnswers(done, form) }, t(`save.${form}`)))));
}

function queueWords(query) {
  if (query.state === "failed") return t("queue.failed");
  return query.count === null ? t(`queue.${query.state}`) : t("queue.found", { n: query.count });
}

function drawResults() {
  const query = current;
  const busy = query.state === "searching" || query.state === "waiting";
  parts.results.setAttribute("aria-busy", String(busy));
  if (busy && !query.answer) {
    fill(parts.summary, t("searching"));
    fill(parts.results, h("ul", { class: "cards" }, [1, 2, 3].map(() => h("li", { class: "card waiting", "aria-hidden": "true" }))));
  } else if (query.state === "failed") {
    fill(parts.summary);
    fill(parts.results, failure(query));
  } else if (query.answer) drawAnswer(query, busy);
}

function failure(query) {
  return h("div", { class: "state bad", role: "alert" }, h("h2", {}, t("failed.title")), h("p", {}, trouble(query.error, about.limits)),
    h("p", { class: "buttons" }, query.error?.code !== "query_expired" && h("button", { onclick: () => query.search(about.limits) }, t("again")), chooser("search.another")));
}

function drawAnswer(query, busy) {
  const proven = query.matches.filter(isProven), others = query.matches.filter((match) => !isProven(match));
  const seconds = Object.values(query.answer.times_ms).reduce((sum, value) => sum + value, 0) / 1000;
  fill(parts.summary, busy ? t("searching") : listed([
    proven.length ? t("found", { n: proven.length }) : t("found.none"), query.options.region && t("found.region"),
    seconds >= 0.005 && t("found.time", { seconds: number(seconds, { maximumFractionDigits: 2 }) }),
  ]));
  fill(parts.results,
    proven.length ? [sorting(proven), cards(query, ordered(proven), 1)] : nothing(query),
    query.options.all && h("section", { class: "unproven-part" }, h("h2", {}, t("unproven.title")), h("p", { class: "quiet" }, t("unproven.about")),
      others.length ? cards(query, others, proven.length + 1) : h("p", {}, t("unproven.none"))),
    query.related.length > 0 && h("section", { class: "unproven-part" }, h("h2", {}, t("related.title")), h("p", { class: "quiet" }, t("related.about")),
      cards(query, query.related, proven.length + others.length + 1)),
    h("details", { class: "fold why" }, h("summary", {}, t("explain.missing")), missingForm(query)));
}

const known = new Map();

function ordered(matches) {
  const kept = matches.filter((match) => !kind || match.relation.kind === kind).map((match) => ({ match, known: known.get(match.id) ?? {} }));
  return kept.sort(SORTS[sort]).map(({ match }) => match);
}

async function sortBy(value) {
  sort = value;
  if (sort === "newest" || sort === "oldest") {
    await Promise.all(current.matches.map(async ({ id }) => known.set(id, await record(id).catch(() => ({})))));
  }
  drawResults();
}

function sorting(matches) {
  if (matches.length < 2) return null;
  const kinds = [...new Set(matches.map((match) => match.relation.kind))];
  return h("div", { class: "sorting" },
    h("label", {}, t("sort"), h("select", { onchange: (event) => sortBy(event.target.value) }, Object.keys(SORTS).map((name) => h("option", { value: name, selected: name === sort }, t(`sort.${name}`))))),
    kinds.length > 1 && h("label", {}, t("filter.kind"), h("select", { onchange: (event) => { kind = event.target.value; drawResults(); } },
      ["", ...kinds].map((name) => h("option", { value: name, selected: name === kind }, t(name ? `kind.${name}` : "filter.any"))))));
}

function cards(query, matches, first) {
  return h("ol", { class: "cards" }, matches.map((match, at) => card(match, {
    place: first + at, onOpen: () => go(place(["search", query.answer.query_id, String(match.id)])), onExplain: () => explain(query, { id: match.id }),
  })));
}

function nothing(query) {
  const little = query.answer.status === "too_little_detail";
  return h("div", { class: "state" }, h("span", { class: "icon nothing", "aria-hidden": "true" }), h("h2", {}, t(little ? "little.title" : "nothing.title")), h("p", {}, t(little ? "little.about" : "nothing.about")),
    h("p", { class: "buttons" },
      !query.options.all && h("button", { onclick: () => askAgain({ all: true }) }, t("options.all")),
      query.options.region ? h("button", { onclick: () => region.set(null) }, t("region.whole"))
        : !little && h("button", { onclick: () => region.set([0.25, 0.25, 0.5, 0.5].map((share, at) => share * (at % 2 ? query.answer.height : query.answer.width))) }, t("region.select")),
      chooser("search.another")));
}

function missingForm(query) {
  return h("form", { class: "missing", onsubmit: (event) => {
    event.preventDefault();
    explain(query, { name: String(new FormData(event.target).get("name")) });
  } }, h("label", {}, t("explain.name"), h("input", { name: "name", required: true })), h("button", {}, t("explain")));
}

// Comparing

function items(query) {
  return [...ordered(query.matches.filter(isProven)), ...query.matches.filter((match) => !isProven(match)), ...query.related].map((match) => ({
    query: { name: t("side.query", { name: query.name }), short: t("side.query_short"), width: query.answer.width, height: query.answer.height, pictures: query.pictures },
    reference: { name: t("side.reference", { name: nameParts(match.name)[1] }), short: t("side.reference_short"), width: match.width, height: match.height,
      pictures: [thumbnail(match.id, 640), thumbnail(match.id, 1280), ...(about.can.files ? [address(`v1/images/${match.id}/file`)] : [])] },
    matrix: match.homography?.flat() ?? null, negative: match.relation.negative, differences: match.differences,
    points: () => ask(`v1/queries/${query.answer.query_id}/matches/${match.id}/points`),
    query_overlap: match.query_overlap, reference_overlap: match.reference_overlap,
    name: match.name, words: listed([sentence(match), support(match)]), probability: match.probability, id: match.id,
    facts: [{ title: t("side.query_short"), width: query.answer.width, height: query.answer.height, bytes: query.given.file?.size },
      record(match.id).then((told) => ({ ...told, title: t("side.reference_short") }))],
    actions: query.given.id && may.write ? verdicts(query, match) : [],
  }));
}

/** Verdicts are on pairs of images of the index. */
function verdicts(query, match) {
  return [["accepted", "verdict.same", "s"], ["rejected", "verdict.different", "n"]].map(([verdict, words, key]) => ({
    words, key, get on() { return match.verdict === verdict; },
    run: async () => {
      const before = match.verdict;
      match.verdict = before === verdict ? null : verdict;
      await judge([[query.given.id, match.id]], match.verdict);
      drawResults();
      say(t(match.verdict ? `verdict.is_${verdict}` : "verdict.is_none"), { action: t("undo"), seconds: 10, run: async () => {
        match.verdict = before;
        await judge([[query.given.id, match.id]], before);
        drawResults();
      } });
    },
  }));
}

function openMatch(query, id, view) {
  const all = items(query);
  const at = all.findIndex((item) => item.id === id);
  if (at < 0) return;
  compare({
    items: all, at, view,
    onMove: (now, shown) => note(place(["search", query.answer.query_id, String(all[now].id)], { view: shown })),
    onClose: () => location.hash.startsWith(place(["search"])) && note(place(["search", query.answer.query_id])),
  });
}

/** The view, for the frame of the page. */
export const search = {
  element,
  show({ rest: [id, image], query: asked }) {
    if (asked.has("id")) {
      const number = Number(asked.get("id"));
      record(number).then((told) => add({ id: number, name: told.name }), () => say(t("error.no_such_image"), { bad: true }));
      note("#/search");
      return;
    }
    const known = queries.find((query) => query.answer?.query_id === id);
    if (known && known !== current) pick(known);
    if (id && !known) {
      const query = new Query({ query: id, name: "" });
      queries.push(query);
      query.addEventListener("change", () => query.state === "done" && (buildQuery(), image && openMatch(query, Number(image), asked.get("view"))), { once: false });
      pick(query);
      run();
    } else if (image && known) openMatch(known, Number(image), asked.get("view"));
    else {
      endComparison();
      this.refresh();
    }
  },
  /** Begins anew where nothing is asked: there may be images now. */
  refresh() {
    if (!current && (!element.hasChildNodes() || element.contains(emptyIndex) === about.index.images > 0)) draw();
  },
  keys: {
    j: { words: "keys.next", run: () => step(1) }, k: { words: "keys.previous", run: () => step(-1) },
    u: { words: "options.all", run: () => current && askAgain({ all: !current.options.all }) },
  },
};

function step(by) {
  const looks = [...element.querySelectorAll("button.look")];
  const at = looks.indexOf(document.activeElement?.closest("li")?.querySelector("button.look"));
  looks[Math.min(Math.max(at + by, 0), looks.length - 1)]?.focus();
}
