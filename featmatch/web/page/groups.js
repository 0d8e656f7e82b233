// Groups of copies: looked through, decided by keyboard, and given out as a list.

import { compare, endComparison } from "./compare.js";
import { Decisions } from "./decisions.js";
import { fill, h, keep, recall, settled } from "./dom.js";
import { FILTERS, filterBar, fits, sorted } from "./filters.js";
import { Focus } from "./focus.js";
import { Group } from "./group.js";
import { bytes, listed, t } from "./i18n.js";
import { nameParts } from "./names.js";
import { markedFiles, showOutput } from "./output.js";
import { drawRow } from "./group_row.js";
import { withKey } from "./keys.js";
import { go, here, note, place } from "./routes.js";
import { showRules } from "./rules_dialog.js";
import { say } from "./toast.js";
import { comparison, difference } from "./words.js";

const CHUNK = 30; // rows that are made at a time, as the reader comes to them

export class GroupsView {
  /** @param {import("./source.js").Source} source @param {{empty?: (view: GroupsView) => any, again?: () => any}} [more] what is shown without groups, and to make them anew */
  constructor(source, { empty, again } = {}) {
    this.source = source;
    this.empty = empty;
    this.again = again;
    this.behind = 0;
    this.decisions = new Decisions(source.key);
    /** @type {Group[]} */
    this.groups = [];
    /** @type {Group[]} */
    this.shown = [];
    this.filter = { ...FILTERS };
    this.sort = "size";
    this.rows = new Map();
    this.at = 0;
    this.totals = null;
    this.element = h("section", { class: "view groups-view" });
    this.list = h("ol", { class: "groups" });
    this.end = h("div", { class: "list-end" });
    this.head = h("div", { class: "groups-head" });
    this.count = h("p", { class: "quiet", role: "status", "aria-live": "polite" });
    this.bar = this.#makeBar();
    this.list.style.setProperty("--card", `${recall("card width", 220)}px`);
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.#more(), { rootMargin: "1500px" }).observe(this.end);
    this.decisions.addEventListener("change", () => this.#decided());
    this.keys = this.#keys();
  }

  /** Asks for all groups, and shows them as they come. */
  async load() {
    this.groups = [];
    this.loading = true;
    try {
      for await (const page of this.source.pages()) {
        this.groups.push(...page.groups.map((told) => new Group(told, this.decisions)));
        Object.assign(this, { totals: page.totals, behind: page.behind });
        this.#build();
      }
    } catch (error) {
      if (error.code !== "groups_not_made") throw error;
      this.totals = null;
      this.groups = [];
    }
    this.loading = false;
    this.#build();
  }

  /** @param {{rest: string[], query: URLSearchParams}} where */
  show({ rest: [number, image], query }) {
    const wanted = this.groups.find((group) => String(group.number) === number);
    if (image && wanted) this.#compare(wanted, Number(image), query.get("view"));
    else {
      endComparison();
      if (wanted) this.#focus(wanted);
      else this.focus?.close();
    }
  }

  // Drawing

  /** Draws anew what is there without groups: how far the search for them is. */
  refresh() {
    if (!this.groups.length) this.#build();
  }

  #build() {
    if (!this.totals || !this.groups.length) {
      fill(this.element, this.empty?.(this) ?? h("div", { class: "state" }, h("h2", {}, t("groups.none")), h("p", {}, t("groups.none.about"))));
      return;
    }
    const { groups, files, bytes_in_copies: copies } = this.totals;
    fill(this.head, h("h2", {}, listed([t("groups.count", { n: groups }), t("files.count", { n: files }), t("groups.gain", { bytes: bytes(copies) })])),
      this.behind > 0 && h("p", { class: "behind" }, t("groups.behind", { n: this.behind }), " ", this.again?.()),
      filterBar(this));
    if (!this.list.isConnected) fill(this.element, this.head, this.count, this.list, this.end, this.bar);
    this.refilter();
    this.#drawBar();
  }

  /** Shows what the filters let through, in the order that is wanted. */
  refilter() {
    const shown = sorted(this.groups.filter((group) => fits(group, this.filter)), this.sort);
    const goesOn = this.shown.length > 0 && this.shown.every((group, at) => group === shown[at]);
    this.shown = shown;
    if (!goesOn) { // else the rows that are there stay, and the keyboard where it is
      this.rows.clear();
      this.at = 0;
      fill(this.list);
    }
    fill(this.count, this.shown.length === this.groups.length ? "" : t("groups.shown", { n: this.shown.length, of: this.groups.length }));
    this.#more();
  }

  filterSoon = settled(() => this.refilter(), 150);

  #more() {
    const from = this.rows.size;
    for (const group of this.shown.slice(from, from + CHUNK)) {
      const row = h("li", { "data-group": String(group.number) });
      drawRow(this, group, row);
      row.told = this.#toldOf(group);
      this.rows.set(group, row);
      this.list.append(row);
    }
  }

  #decided() {
    for (const [group, row] of this.rows) {
      const told = this.#toldOf(group);
      if (row.told !== told) this.#redraw(group, row);
      row.told = told;
    }
    this.#drawBar();
    this.focus?.draw();
  }

  /** What a row shows of decisions: it is drawn anew where that changes. */
  #toldOf(group) {
    return JSON.stringify([group.state, group.original.id, group.names.map((name) => this.decisions.marked.has(name))]);
  }

  #redraw(group, row) {
    const focused = [...row.querySelectorAll("button, input, a")].indexOf(document.activeElement);
    drawRow(this, group, row);
    row.querySelectorAll("button, input, a")[focused]?.focus();
  }

  #drawBar() {
    const files = markedFiles(this.groups, this.source.path);
    const size = files.reduce((sum, { member }) => sum + member.bytes, 0);
    const lost = this.groups.filter((group) => group.isLost);
    const undecided = this.groups.filter((group) => !group.state).length;
    fill(this.said, files.length ? t("marked.count", { n: files.length, bytes: bytes(size) }) : t("marked.none"), h("span", { class: "quiet" }, " · ", t("groups.undecided", { n: undecided })));
    fill(this.lost, lost.length > 0 && [t("marked.lost", { n: lost.length }), " ", h("button", { onclick: () => this.keepBest(lost) }, t("group.keep_best"))]);
    this.undoing.disabled = !this.decisions.steps.length;
    this.clearing.disabled = this.giving.disabled = !files.length;
  }

  /** Its buttons stay the same ones: the keyboard comes back to them from a dialog. */
  #makeBar() {
    this.said = h("p", { role: "status", "aria-live": "polite" });
    this.lost = h("p", { class: "lost" });
    this.undoing = h("button", { title: withKey("undo", "z"), onclick: () => this.undo() }, t("undo"));
    this.clearing = h("button", { onclick: () => this.#step("marked.cleared", () => this.decisions.marked.clear()) }, t("marked.clear"));
    this.giving = h("button", { class: "main", onclick: () => showOutput(markedFiles(this.groups, this.source.path)) }, t("output.open"));
    return h("div", { class: "marked-bar" }, this.said, this.lost,
      h("div", { class: "buttons" }, h("button", { title: t("rules.title"), onclick: () => showRules(this) }, t("rules.open")), this.undoing, this.clearing, this.giving));
  }

  // Deciding

  #step(words, change, also) {
    this.decisions.decide(words, change, also);
    say(t(words), { action: t("undo"), run: () => this.undo(), seconds: 10 });
  }

  async undo() {
    const words = await this.decisions.undo();
    if (words) say(t("undone", { what: t(words) }));
  }

  /** Marks files, or takes their marks off. */
  toggle(group, names) {
    const { marked } = this.decisions;
    const all = names.every((name) => marked.has(name));
    this.decisions.decide("marked.changed", () => {
      this.decisions.done.delete(group.key);
      for (const name of names) all ? this.decisions.marked.delete(name) : this.decisions.marked.add(name);
    });
  }

  makeOriginal(group, member) {
    if (member === group.original) return;
    this.#step("group.original.done", () => {
      this.decisions.originals.set(group.key, member.names[0]);
      this.decisions.marked.delete(member.names[0]);
    });
  }

  #unmark(group) {
    for (const name of group.names) this.decisions.marked.delete(name);
  }

  /** "These are no duplicates", told to the index where it can be written to; the same again takes it back. */
  async reject(group) {
    if (group.members.length < 2) { say(t("group.identical")); return; }
    const ids = group.ordered.map(({ id }) => id);
    const back = group.state === "rejected";
    const remembers = this.source.remembers;
    if (remembers) await this.source.judge(ids, back ? null : "rejected");
    this.#step(back ? "group.different.undone" : remembers ? "group.different.done" : "group.different.here", () => {
      if (back) this.decisions.done.delete(group.key);
      else { this.decisions.done.set(group.key, "rejected"); this.#unmark(group); }
    }, remembers ? () => this.source.judge(ids, back ? "rejected" : null) : undefined);
  }

  keepAll(group) {
    const back = group.state === "kept";
    this.#step(back ? "group.keep.undone" : "group.keep.done", () => {
      if (back) this.decisions.done.delete(group.key);
      else { this.decisions.done.set(group.key, "kept"); this.#unmark(group); }
    });
  }

  keepBest(groups) {
    this.#step("group.keep_best.done", () => { for (const { original } of groups) this.decisions.marked.delete(original.names[0]); });
  }

  /** Does what the rules propose. */
  apply(plan) {
    this.#step("rules.done", () => {
      for (const { group, kept, names } of plan.groups) {
        if (kept !== group.members[0]) this.decisions.originals.set(group.key, kept.names[0]);
        for (const name of names) this.decisions.marked.add(name);
      }
    });
  }

  // Looking closer

  compareOf(group, member) {
    const target = member === group.original ? group.ordered[1] ?? member : member;
    go(place(["groups", String(group.number), String(target.id)]));
  }

  #compare(group, id, view) {
    const { source } = this;
    const { original } = group;
    const copies = group.members.length > 1 ? group.ordered.slice(1) : [original];
    const side = (member, words) => ({ name: t(words, { name: nameParts(member.names[0])[1] }), short: t(`${words}_short`), width: member.width, height: member.height, pictures: source.pictures(member) });
    const facts = (member, words) => Promise.resolve(source.record(member)).then((told) => ({ ...member, ...told, title: t(words) }));
    const items = copies.map((member) => {
      const seen = comparison(member, original);
      return {
        query: side(member, "side.copy"), reference: side(original, "side.original"), matrix: group.matrixOf(member), negative: seen?.negative ?? false,
        points: member === original ? null : source.points(member, original), query_overlap: seen?.within, reference_overlap: seen?.covers,
        name: member.names[0], words: member === original ? t("group.identical") : difference(member, original), probability: member === original ? undefined : member.probability,
        facts: [facts(member, "side.copy_short"), facts(original, "side.original_short")], id: member.id,
        actions: [
          { words: "mark", key: "m", get on() { return group.markable(member).length > 0 && group.markable(member).every((name) => group.decisions.marked.has(name)); }, run: () => this.toggle(group, group.markable(member)) },
          { words: "group.original", run: () => { this.makeOriginal(group, member); this.#compare(group, member === original ? id : original.id, view); } },
          { words: "verdict.different", key: "n", get on() { return group.state === "rejected"; }, run: () => this.reject(group) },
        ],
      };
    });
    const back = this.focus ? place(["groups", String(group.number)]) : "#/groups";
    compare({
      items, at: Math.max(items.findIndex((item) => item.id === id), 0), view,
      onMove: (now, shown) => note(place(["groups", String(group.number), String(items[now].id)], { view: shown })),
      onClose: () => here().tab === "groups" && note(back),
    });
  }

  focusOn(group) {
    go(place(["groups", String(group.number)]));
  }

  #focus(group) {
    if (this.focus) this.focus.open(group);
    else this.focus = new Focus(this, group, () => { this.focus = null; if (here().tab === "groups") note("#/groups"); this.#select(this.shown.indexOf(group)); });
  }

  // The keyboard

  #select(at) {
    this.at = Math.min(Math.max(at, 0), this.shown.length - 1);
    while (this.rows.size <= this.at && this.rows.size < this.shown.length) this.#more();
    const row = this.rows.get(this.shown[this.at]);
    row?.querySelector("h3 a")?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  }

  /** The group and the member that the keyboard is on. */
  #here() {
    const card = document.activeElement?.closest("li.member");
    const row = document.activeElement?.closest("li.group");
    const group = [...this.rows].find(([, element]) => element === row)?.[0] ?? this.shown[this.at];
    if (row) this.at = this.shown.indexOf(group);
    return { group, member: group?.members.find(({ id }) => String(id) === card?.getAttribute("data-id")) ?? group?.ordered[1] ?? group?.original };
  }

  #beside(by) {
    const looks = [...(document.activeElement?.closest("li.group")?.querySelectorAll("button.look") ?? [])];
    const at = looks.indexOf(document.activeElement?.closest("li.member")?.querySelector("button.look"));
    /** @type {HTMLElement} */ (looks[at + by])?.focus(); // from the head of a group to its first picture
  }

  #keys() {
    const on = (words, run) => ({ words, run: () => { const { group, member } = this.#here(); if (group) run(group, member); } });
    return {
      j: { words: "keys.next", run: () => { this.#here(); this.#select(document.activeElement?.closest("li.group") ? this.at + 1 : this.at); } },
      k: { words: "keys.previous", run: () => { this.#here(); this.#select(this.at - 1); } },
      ArrowRight: { words: "group.next", run: () => this.#beside(1) }, ArrowLeft: { words: "group.previous", run: () => this.#beside(-1) },
      Enter: on("group.focus", (group) => this.focusOn(group)), f: on("group.focus", (group) => this.focusOn(group)),
      x: on("mark", (group, member) => this.toggle(group, group.markable(member))), o: on("group.original", (group, member) => this.makeOriginal(group, member)),
      n: on("group.different", (group) => this.reject(group)), K: on("group.keep", (group) => this.keepAll(group)),
      z: { words: "undo", run: () => this.undo() },
    };
  }

  /** Keeps the width of cards. */
  widen(px) {
    this.list.style.setProperty("--card", `${px}px`);
    keep("card width", px);
  }
}
