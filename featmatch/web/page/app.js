// The page that a service serves.

import { about, learn, may } from "./about.js";
import { ask, enter, server } from "./api.js";
import { fill, h, recall } from "./dom.js";
import { drawEmpty, emptyIndex } from "./empty.js";
import { GroupsView } from "./groups.js";
import { number, speak, t, wanted } from "./i18n.js";
import { images } from "./images.js";
import { begin, jobs, jobsView, learnJobs, progressWords, running } from "./jobs.js";
import { always, showKeys, take } from "./keys.js";
import { go, here } from "./routes.js";
import { lookUp, search } from "./search.js";
import { buildShell, setTheme } from "./shell.js";
import { served } from "./source.js";
import { say } from "./toast.js";
import { trouble } from "./words.js";

const TABS = ["search", "groups", "images", "jobs"];

setTheme();
const lang = wanted(recall("language", null));
speak(lang, await (await fetch(new URL(`page/${lang}.json`, document.baseURI))).json());

const dot = h("span", { class: "dot", "aria-hidden": "true" });
const told = h("span", { class: "told" });
const keyButton = h("button", { class: "quiet key", hidden: true, title: t("key.change"), "aria-label": t("key.change"), onclick: () => askKey("") }, h("span", { class: "icon key-picture", "aria-hidden": "true" }));
const shell = buildShell({ tabs: TABS, status: h("p", { class: "status" }, dot, told), more: [keyButton] });

// Groups

function noGroups(view) {
  if (!about.index.images) { drawEmpty(); return emptyIndex; }
  if (view.loading) return h("div", { class: "state", role: "status" }, h("p", {}, t("searching")));
  const job = jobs.all.find(({ kind, state }) => kind === "groups" && (state === "running" || state === "queued"));
  if (job) {
    const { done, total } = job.progress;
    return h("div", { class: "state", role: "status" }, h("h2", {}, t("groups.looking")), h("progress", { max: total || 1, value: total ? done : null, "aria-label": t("groups.looking") }), h("p", { class: "quiet" }, total && done === total ? t("groups.finishing") : progressWords(job)));
  }
  if (view.totals) return h("div", { class: "state" }, h("span", { class: "icon nothing", "aria-hidden": "true" }), h("h2", {}, t("groups.none")), h("p", {}, t("groups.none.about")), again());
  return h("div", { class: "state" }, h("span", { class: "icon groups", "aria-hidden": "true" }), h("h2", {}, t("groups.not_made")), h("p", {}, t(may.jobs ? "groups.not_made.about" : about.can.jobs ? "jobs.not.key" : "groups.not_made.read_only")),
    may.jobs ? h("button", { class: "main", onclick: () => begin("groups") }, t("groups.look")) : !about.can.jobs && h("code", {}, "featmatch serve INDEX --writable --open"));
}

const again = () => may.jobs && h("button", { onclick: () => begin("groups") }, t("groups.again"));

const groups = new GroupsView(served, { empty: noGroups, again });
let groupsWanted = true;
const groupsView = {
  element: groups.element, keys: groups.keys, refresh: () => groups.refresh(),
  async show() {
    if (groupsWanted) {
      groupsWanted = false;
      await groups.load().catch((error) => say(trouble(error, about.limits), { bad: true }));
    }
    if (here().tab === "groups") groups.show(here()); // the reader may have gone on meanwhile
  },
};
jobs.addEventListener("ended", (event) => {
  const job = /** @type {CustomEvent} */ (event).detail;
  if (job.kind === "groups" && job.state === "done") groupsWanted = true;
  if (here().tab === "groups") groupsView.show();
});
jobs.addEventListener("change", () => { if (here().tab === "groups" && !groups.groups.length && !groupsWanted) groups.refresh(); });

// The frame

const scrolled = new Map(); // how far each view is, to come back to it
const views = { search, groups: groupsView, images, jobs: jobsView };
let release = () => {};

function show() {
  const where = here();
  const tab = TABS.includes(where.tab) ? where.tab : "search";
  const view = views[tab];
  const from = Object.keys(views).find((name) => views[name].element === shell.main.firstChild);
  if (from !== tab) {
    for (const dialog of document.querySelectorAll("dialog:modal")) /** @type {HTMLDialogElement} */ (dialog).close();
    scrolled.set(from, scrollY);
    view.element.setAttribute("aria-label", t(`tab.${tab}`));
    fill(shell.main, view.element);
    release();
    release = take(view.keys);
  }
  shell.mark(tab);
  document.title = `${t(`tab.${tab}`)} – featmatch`;
  view.show(where, from !== undefined && from !== tab);
  if (from !== tab) scrollTo(0, scrolled.get(tab) ?? 0);
}

function drawStatus() {
  const job = running();
  const { images: count } = about.index;
  dot.className = `dot ${job ? "busy" : "ready"}`;
  fill(told, h("span", { class: "all" }, t("status.images", { n: count }), job && " · "), job && `${job.progress.total ? t("status.job", { words: t(`job.${job.kind}`), done: number(job.progress.done), total: number(job.progress.total) }) : t(`job.${job.kind}`)}`);
}

// What the service is up to

server.addEventListener("gone", () => { banner("banner.gone", "bad"); dot.className = "dot bad"; });
server.addEventListener("back", () => { shell.banner.hidden = true; say(t("banner.back")); learn().then(drawStatus); });
server.addEventListener("busy", (event) => banner("banner.busy", "", { n: /** @type {CustomEvent} */ (event).detail }));
server.addEventListener("fine", () => { shell.banner.hidden = true; });
server.addEventListener("key", (event) => askKey(/** @type {CustomEvent} */ (event).detail));

function banner(words, kind, places = {}) {
  shell.banner.className = `banner ${kind}`;
  shell.banner.hidden = false;
  fill(shell.banner, t(words, places));
}

let keyDialog = null;

function askKey(code) {
  keyDialog?.remove();
  const wrong = h("p", { class: "warn", role: "alert" }, code === "key_unknown" ? t("error.key_unknown") : "");
  const own = keyDialog = h("dialog", { class: "small key-dialog", "aria-labelledby": "key-title" },
    h("h2", { id: "key-title" }, t("key.title")), h("p", { class: "quiet" }, t("key.about")), wrong,
    h("form", { onsubmit: async (event) => {
      event.preventDefault();
      try {
        await enter(String(new FormData(event.target).get("key")));
        own.remove();
        if (!code) location.reload();
      } catch (error) {
        fill(wrong, trouble(error));
      }
    } }, h("label", {}, t("key.key"), h("input", { name: "key", type: "password", required: true, autocomplete: "current-password", placeholder: "fm_…" })),
      h("p", { class: "buttons" }, h("button", { class: "main" }, t("key.enter")), !code && h("button", { type: "button", onclick: async () => { await ask("v1/session", { method: "DELETE" }); location.reload(); } }, t("key.leave")),
        !code && h("button", { type: "button", onclick: () => own.remove() }, t("close")))));
  document.body.append(own);
  own.showModal();
}

// Drop, paste, keys

function taken(files) {
  if (!files.length) return;
  if (here().tab === "images" && images.takes(files)) return;
  go("#/search");
  lookUp(files);
}

addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); document.body.classList.add("dragging"); } });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
addEventListener("drop", (event) => { if (!event.dataTransfer.files.length) return; event.preventDefault(); document.body.classList.remove("dragging"); taken([...event.dataTransfer.files]); });
addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); taken([...event.clipboardData.files]); } });

always({
  "/": { words: "keys.find", run: () => { go("#/images"); /** @type {HTMLElement} */ (shell.main.querySelector("input.find"))?.focus(); } },
  ...Object.fromEntries([["g s", "search"], ["g g", "groups"], ["g i", "images"], ["g j", "jobs"]].map(([key, tab]) => [key, { words: `tab.${tab}`, run: () => go(`#/${tab}`) }])),
  "?": { words: "keys.help", run: showKeys },
});

await learn();
keyButton.hidden = !about.key;
drawStatus();
addEventListener("learned", () => { drawStatus(); Object.values(views).find(({ element }) => element.isConnected)?.refresh?.(); });
jobs.addEventListener("change", drawStatus);
learnJobs();
addEventListener("hashchange", show);
show();
