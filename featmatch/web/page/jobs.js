// Long work: begun, followed, cancelled; what failed, and why.

import { about, learn, may } from "./about.js";
import { address, ask, forget } from "./api.js";
import { fill, h } from "./dom.js";
import { date, duration, listed, number, percent, t } from "./i18n.js";
import { shownName } from "./names.js";
import { say } from "./toast.js";
import { trouble } from "./words.js";

const ENDED = ["done", "failed", "cancelled", "interrupted"];
const POLL_MS = 2000;

/** All jobs, newest first. Others listen for "change" and for "ended". */
export const jobs = Object.assign(new EventTarget(), { all: [], followed: new Set() });

/** Learns of jobs, and follows those that are not done. */
export async function learnJobs() {
  if (!may.jobs) return;
  jobs.all = (await ask("v1/jobs")).jobs;
  jobs.dispatchEvent(new Event("change"));
  for (const job of jobs.all) if (!ENDED.includes(job.state)) follow(job.id);
}

/** Begins a job. */
export async function begin(kind) {
  try {
    await ask("v1/jobs", { method: "POST", body: { kind } });
    await learnJobs();
  } catch (error) {
    say(trouble(error, about.limits), { bad: true });
  }
}

function heard(job) {
  const at = jobs.all.findIndex(({ id }) => id === job.id);
  if (at < 0) jobs.all.unshift(job);
  else jobs.all[at] = job;
  jobs.dispatchEvent(new Event("change"));
  if (!ENDED.includes(job.state) || !jobs.followed.delete(job.id)) return;
  forget();
  jobs.dispatchEvent(new CustomEvent("ended", { detail: job }));
  learn().then(() => dispatchEvent(new Event("learned")), () => {});
}

/** By events; by asking now and then where those break off. */
function follow(id) {
  if (jobs.followed.has(id)) return;
  jobs.followed.add(id);
  const events = new EventSource(address(`v1/jobs/${id}/events`));
  for (const name of ["progress", "done", "failed"]) events.addEventListener(name, (event) => {
    const job = JSON.parse(event.data);
    if (ENDED.includes(job.state)) events.close();
    heard(job);
  });
  events.onerror = () => { events.close(); poll(id); };
}

async function poll(id) {
  while (jobs.followed.has(id)) {
    try {
      heard(await ask(`v1/jobs/${id}`));
    } catch {
      jobs.followed.delete(id);
      return;
    }
    if (jobs.followed.has(id)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What runs now. */
export const running = () => jobs.all.find(({ state }) => state === "running");

/** How far a job is, in words. */
export function progressWords({ progress: { done, total, per_second: speed, seconds_left: left } }) {
  return listed([total > 0 && t("job.progress", { done: number(done), total: number(total) }), speed && t("job.speed", { speed: number(speed, { maximumFractionDigits: 1 }) }),
    left > 0 && t("job.left", { time: duration(left) })]);
}

const list = h("ol", { class: "jobs" });
const live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
const element = h("section", { class: "view jobs-view" });
let told = 0;

function draw() {
  if (!element.hasChildNodes()) return;
  fill(list, jobs.all.length ? jobs.all.map(row) : h("li", { class: "state" }, h("h2", {}, t("jobs.none")), h("p", {}, t("jobs.none.about"))));
  const now = running();
  if (now && Date.now() - told > 5000) {
    told = Date.now();
    fill(live, listed([t(`job.${now.kind}`), progressWords(now)]));
  }
}

const opened = new Set();

function row(job) {
  const { progress, state, kind, failures } = job;
  const going = !ENDED.includes(state);
  const share = progress.total ? progress.done / progress.total : 0;
  const counts = listed(["added", "skipped", "failed"].filter((what) => progress[what]).map((what) => t(`adding.count.${what}`, { n: progress[what] })));
  return h("li", { class: `job ${state}` },
    h("header", {}, h("h2", {}, t(`job.${kind}`)), h("span", { class: `tag ${state}` }, t(`job.is_${state}`)), h("span", { class: "quiet" }, date(job.started ?? job.created)),
      going && h("button", { onclick: () => ask(`v1/jobs/${job.id}`, { method: "DELETE" }).then(heard, (error) => say(trouble(error), { bad: true })) }, t("job.cancel"))),
    going && h("p", {}, h("progress", { max: 1, value: share, "aria-label": t(`job.${kind}`) }), " ", progress.total > 0 && `${percent(share)} · `, progressWords(job)),
    counts && h("p", {}, counts), job.error && h("p", { class: "warn" }, t("job.error"), " ", h("code", {}, job.error)),
    failures.length > 0 && h("details", { class: "fold", open: opened.has(job.id), ontoggle: (event) => event.target.open ? opened.add(job.id) : opened.delete(job.id) },
      h("summary", {}, t("job.failures", { n: progress.failed })),
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("job.name")), h("th", { scope: "col" }, t("job.why")))),
        h("tbody", {}, failures.map((one) => h("tr", {}, h("td", { class: "name" }, h("bdi", {}, shownName(one.name))), h("td", {}, trouble({ code: one.status }, about.limits)))))),
      h("button", { onclick: () => navigator.clipboard.writeText(failures.map(({ name }) => `${shownName(name)}\n`).join("")).then(() => say(t("copied")), () => say(t("copy.no"))) }, t("copy.names"))));
}

jobs.addEventListener("change", draw);

/** The view, for the frame of the page. */
export const jobsView = {
  element,
  show() {
    if (!may.jobs) {
      fill(element, h("div", { class: "state" }, h("h2", {}, t("jobs.not")), h("p", {}, t(about.can.jobs ? "jobs.not.key" : "jobs.not.read_only")), !about.can.jobs && h("code", {}, "featmatch serve INDEX --writable --open")));
      return;
    }
    fill(element, h("ul", { class: "begin" }, ["groups", "check", "compact"].map((kind) => h("li", {}, h("button", { onclick: () => begin(kind) }, t(`job.${kind}.begin`)), h("span", { class: "quiet" }, t(`job.${kind}.about`))))), live, list);
    draw();
    learnJobs();
  },
  keys: {},
};
