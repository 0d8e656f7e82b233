// One group fills the window; decided by keyboard, one after the other.

import { fill, h } from "./dom.js";
import { number, t } from "./i18n.js";
import { showKeys, take, withKey } from "./keys.js";
import { memberCard } from "./group_row.js";
import { note, place } from "./routes.js";
import { plan, rules } from "./rules.js";
import { say } from "./toast.js";

export class Focus {
  /** @param {import("./groups.js").GroupsView} view @param {import("./group.js").Group} group @param {() => void} onClose */
  constructor(view, group, onClose) {
    this.view = view;
    this.title = h("h2", { id: "focus-title" });
    this.progress = h("progress", { max: 1, value: 0, "aria-label": t("focus.progress") });
    this.count = h("p", { class: "quiet" });
    this.members = h("ol", { class: "members" });
    this.lost = h("div", {});
    this.buttons = h("div", { class: "buttons" });
    this.element = h("dialog", { class: "focus", "data-keys": true, "aria-labelledby": "focus-title", onclose: () => {
      this.release();
      this.element.remove();
      onClose();
    } },
      h("header", {}, this.title, this.count, this.progress,
        h("button", { class: "quiet keyboard", "aria-label": t("keys.help"), title: t("keys.help"), onclick: showKeys }, "?"),
        h("button", { class: "quiet close", "aria-label": t("close"), title: withKey("close", "Escape"), onclick: () => this.close() }, "✕")),
      this.lost, this.members, h("footer", {}, this.buttons));
    this.release = take(this.#keys());
    document.body.append(this.element);
    this.element.showModal();
    this.open(group);
  }

  open(group) {
    this.group = group;
    this.selected = group.ordered[1] ?? group.original;
    this.draw();
    this.element.scrollTop = 0;
    note(place(["groups", String(group.number)]));
  }

  close() {
    this.element.close();
  }

  draw() {
    const { view, group } = this;
    const at = view.shown.indexOf(group);
    const decided = view.shown.filter(({ state }) => state).length;
    fill(this.title, t("group.number", { number: String(group.number) }));
    fill(this.count, t("focus.count", { at: number(at + 1), of: number(view.shown.length), decided: number(decided) }), group.state && h("b", { class: `tag ${group.state}` }, t(`group.is_${group.state}`)));
    this.progress.value = decided / Math.max(view.shown.length, 1);
    fill(this.lost, group.isLost && h("p", { class: "lost", role: "alert" }, t("group.lost"), " ", h("button", { onclick: () => view.keepBest([group]) }, t("group.keep_best"))));
    this.members.dataset.count = String(Math.min(group.members.length, 4));
    fill(this.members, group.ordered.map((member) => {
      const card = memberCard(view, group, member, 640);
      card.addEventListener("focusin", () => { this.selected = member; this.#show(); });
      return card;
    }));
    this.#show();
    this.#look()?.focus({ preventScroll: true });
    this.#drawButtons();
  }

  #look() {
    return /** @type {HTMLElement} */ (this.members.querySelector(`[data-id="${this.selected.id}"] button.look`));
  }

  #show() {
    for (const card of this.members.children) card.classList.toggle("selected", card.getAttribute("data-id") === String(this.selected.id));
  }

  #drawButtons() {
    const { group } = this;
    const button = (words, key, run, disabled = false) => h("button", { title: withKey(words, key), disabled, onclick: run }, t(words), h("kbd", { "aria-hidden": "true" }, key));
    fill(this.buttons,
      button("focus.by_rules", "a", () => this.#byRules(), Boolean(group.state)), button("mark", "x", () => this.#mark()), button("group.original", "o", () => this.view.makeOriginal(group, this.selected)),
      button("group.different", "n", () => this.#different(), group.members.length < 2), button("group.keep", "K", () => this.#keep()),
      button("undo", "z", () => this.view.undo()), button("focus.next", "j", () => this.step(1)), button("focus.undecided", "u", () => this.nextUndecided()));
  }

  #mark() {
    this.view.toggle(this.group, this.group.markable(this.selected));
  }

  async #different() {
    await this.view.reject(this.group);
    this.nextUndecided();
  }

  #keep() {
    this.view.keepAll(this.group);
    this.nextUndecided();
  }

  #byRules() {
    const found = plan([this.group], rules());
    if (!found.files) { say(t("focus.no_rules")); return; }
    this.view.apply(found);
    this.nextUndecided();
  }

  step(by) {
    const next = this.view.shown[this.view.shown.indexOf(this.group) + by];
    if (next) this.open(next);
  }

  /** The next group that nothing is decided about, from here on and then from the beginning. */
  nextUndecided() {
    const { shown } = this.view;
    const at = shown.indexOf(this.group);
    const next = [...shown.slice(at + 1), ...shown.slice(0, at + 1)].find((group) => !group.state);
    if (next) this.open(next);
    else say(t("focus.all_done"));
  }

  #beside(by) {
    const { ordered } = this.group;
    this.selected = ordered[Math.min(Math.max(ordered.indexOf(this.selected) + by, 0), ordered.length - 1)];
    this.#look()?.focus();
  }

  #keys() {
    return {
      j: { words: "focus.next", run: () => this.step(1) }, k: { words: "focus.previous", run: () => this.step(-1) }, u: { words: "focus.undecided", run: () => this.nextUndecided() },
      ArrowRight: { words: "group.next", run: () => this.#beside(1) }, ArrowLeft: { words: "group.previous", run: () => this.#beside(-1) },
      a: { words: "focus.by_rules", run: () => this.#byRules() }, x: { words: "mark", run: () => this.#mark() },
      o: { words: "group.original", run: () => this.view.makeOriginal(this.group, this.selected) },
      n: { words: "group.different", run: () => this.#different() }, K: { words: "group.keep", run: () => this.#keep() },
      z: { words: "undo", run: () => this.view.undo() }, c: { words: "group.compare_key", run: () => this.view.compareOf(this.group, this.selected) },
      "?": { words: "keys.help", run: showKeys },
    };
  }
}
