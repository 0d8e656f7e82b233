// The dialog that compares two pictures: six views, zoom, facts, and what the reader says of them.

import { fill, h } from "./dom.js";
import { showFacts } from "./facts.js";
import { number, percent, t } from "./i18n.js";
import { take, showKeys, withKey } from "./keys.js";
import { nameParts, shownName } from "./names.js";
import { OVERLAID, Stage } from "./stage.js";
import { say } from "./toast.js";

/**
 * @typedef {import("./stage.js").Pair & {name: string, words: string, probability?: number, facts: [any, any],
 *   actions?: {words: string, key?: string, on?: boolean, run: () => void}[]}} Item
 */

export const VIEWS = [...OVERLAID, "beside", "proof"];
const still = matchMedia("(prefers-reduced-motion: reduce)");

class Comparison {
  /** @param {{items: Item[], at: number, view?: string, onMove?: (at: number, view: string) => void, onClose?: () => void}} given */
  constructor({ items, at, view, onMove = () => {}, onClose = () => {} }) {
    this.items = items;
    this.at = at;
    this.onMove = onMove;
    this.hertz = still.matches ? 0 : 1;
    this.stage = new Stage();
    this.views = h("div", { class: "views", role: "group", "aria-label": t("compare.views") }, VIEWS.map((name, place) =>
      h("button", { "data-view": name, title: withKey(`view.${name}`, String(place + 1)), onclick: () => this.look(name) }, t(`view.${name}`))));
    this.title = h("h2", { id: "compare-title" });
    this.words = h("p", { class: "words" });
    this.controls = h("div", { class: "controls" });
    this.actions = h("div", { class: "actions" });
    this.facts = h("div", { class: "fact-box" });
    this.element = this.#dialog(onClose);
    this.stage.element.addEventListener("swipe", (event) => this.step(/** @type {CustomEvent} */ (event).detail));
    this.release = take(this.#keys());
    document.body.append(this.element);
    this.element.showModal();
    this.show(view && VIEWS.includes(view) ? view : undefined);
  }

  #dialog(onClose) {
    const button = (words, key, label, run) => h("button", { class: "quiet", title: withKey(words, key), "aria-label": t(words), onclick: run }, label);
    const dialog = h("dialog", { class: "compare", "data-keys": true, "aria-labelledby": "compare-title", onclose: () => {
      clearInterval(this.timer);
      this.release();
      dialog.remove();
      onClose();
    } },
      h("header", {},
        button("compare.previous", "ArrowLeft", "‹", () => this.step(-1)), h("div", { class: "titles" }, this.title, this.words),
        button("compare.next", "ArrowRight", "›", () => this.step(1)),
        h("button", { class: "quiet keyboard", "aria-label": t("keys.help"), title: t("keys.help"), onclick: showKeys }, "?"),
        h("button", { class: "quiet close", "aria-label": t("close"), title: withKey("close", "Escape"), onclick: () => dialog.close() }, "✕")),
      h("div", { class: "bar" }, this.views, this.controls),
      this.stage.element,
      h("footer", {},
        h("div", { class: "zooms", role: "group", "aria-label": t("zoom") },
          button("zoom.out", "-", "−", () => this.stage.zoomBy(0.8)), button("zoom.fit", "0", "▣", () => this.stage.fit()),
          button("zoom.in", "+", "+", () => this.stage.zoomBy(1.25)),
          h("button", { class: "quiet", title: t("zoom.actual"), onclick: () => this.stage.oneToOne() }, "1:1")),
        this.actions),
      h("details", { class: "facts-fold", open: innerWidth > 1100 }, h("summary", {}, t("facts")), this.facts));
    return dialog;
  }

  #keys() {
    const views = Object.fromEntries(VIEWS.map((name, place) => [String(place + 1), { words: `view.${name}`, run: () => this.look(name) }]));
    return {
      ...views,
      " ": { words: "compare.flip", run: (event) => event.repeat || this.#hold() },
      ArrowLeft: { words: "compare.previous", run: () => this.step(-1) }, ArrowRight: { words: "compare.next", run: () => this.step(1) },
      "[": { words: "compare.less", run: () => this.#nudge(-0.05) }, "]": { words: "compare.more", run: () => this.#nudge(0.05) },
      "+": { words: "zoom.in", run: () => this.stage.zoomBy(1.25) }, "-": { words: "zoom.out", run: () => this.stage.zoomBy(0.8) },
      0: { words: "zoom.fit", run: () => this.stage.fit() },
      x: { words: "compare.swap", run: () => this.#swap() }, f: { words: "compare.frame", run: () => this.#frame() },
      s: { words: "verdict.same", run: () => this.#act("s") }, n: { words: "verdict.different", run: () => this.#act("n") },
      m: { words: "mark", run: () => this.#act("m") },
      "?": { words: "keys.help", run: showKeys },
    };
  }

  /** @returns {Item} */
  get item() {
    return this.items[this.at];
  }

  step(by) {
    if (!this.items[this.at + by]) return;
    this.at += by;
    this.show();
  }

  /** Shows the pair; in the view of the last one, where this one has that. */
  show(view = this.view ?? "curtain") {
    const { item, items, at } = this;
    const shown = item.matrix ? view : ["proof", "beside"].includes(view) && item.points ? view : "beside";
    this.frame = item.matrix && showsMore(item) ? "reference" : "query";
    fill(this.title, items.length > 1 && h("span", { class: "count" }, t("compare.count", { at: number(at + 1), of: number(items.length) })), " ", nameParts(item.name)[1]);
    this.title.title = shownName(item.name);
    fill(this.words, item.words, item.probability !== undefined && h("span", { class: "percent" }, percent(item.probability, 1)));
    for (const button of this.views.children) {
      const name = button.getAttribute("data-view");
      button.disabled = (OVERLAID.includes(name) && !item.matrix) || (name === "proof" && !item.points);
    }
    for (const [name, by] of [["previous", -1], ["next", 1]]) {
      this.element.querySelector(`header button[aria-label="${CSS.escape(t(`compare.${name}`))}"]`).disabled = !items[at + Number(by)];
    }
    this.#showActions();
    showFacts(this.facts, item.facts);
    this.showing = null;
    this.look(shown);
  }

  look(view) {
    const button = /** @type {HTMLButtonElement} */ (this.views.querySelector(`[data-view=${view}]`));
    if (button.disabled) return;
    this.view = view;
    for (const one of this.views.children) one.setAttribute("aria-pressed", String(one === button));
    const proof = view === "proof";
    this.stage.state.view = proof ? "beside" : view;
    this.stage.state.flipped = false;
    this.stage.state.frame = view === "beside" || proof ? "query" : this.frame;
    this.stage.marks.points = proof ? [] : null;
    if (this.showing !== this.item) this.stage.show(this.item);
    else this.stage.fit();
    this.showing = this.item;
    if (proof) this.#join();
    this.#showControls();
    this.#beat();
    this.onMove(this.at, view);
  }

  /** Asks for the pairs of points that agree, and joins them. */
  async #join() {
    const { item } = this;
    this.points = this.joined === item ? this.points : item.points();
    this.joined = item;
    const told = await this.points.catch(() => null);
    if (this.item !== item || this.view !== "proof") return;
    if (told) {
      this.stage.marks.points = told.points;
      this.stage.draw();
      return;
    }
    this.joined = null;
    say(t("proof.not_at_hand"), { bad: true });
  }

  #showControls() {
    const { state } = this.stage;
    const slider = (words, name, min, max, step) => h("label", { class: "slider" }, t(words), h("input", {
      type: "range", min, max, step, value: state[name], oninput: (event) => this.stage.set({ [name]: Number(event.target.value) }),
    }));
    const overlaid = OVERLAID.includes(this.view);
    fill(this.controls,
      this.view === "blend" && slider("compare.opacity", "opacity", 0, 1, 0.01),
      this.view === "difference" && slider("compare.gain", "gain", 1, 8, 0.5),
      this.view === "flip" && !still.matches && h("label", { class: "slider" }, t("compare.speed"), h("input", {
        type: "range", min: 0, max: 4, step: 0.5, value: this.hertz, oninput: (event) => { this.hertz = Number(event.target.value); this.#beat(); },
      })),
      this.view === "flip" && h("button", { title: withKey("compare.flip", " "), onclick: () => this.stage.set({ flipped: !state.flipped }) }, t("compare.flip")),
      overlaid && this.view !== "flip" && h("button", { title: withKey("compare.swap", "x"), onclick: () => this.#swap() }, t("compare.swap")),
      overlaid && h("button", { title: withKey("compare.frame", "f"), onclick: () => this.#frame() }, t("compare.laid_on", { name: this.item[this.frame].short })),
      this.item.differences?.length > 0 && this.view !== "proof" && h("label", { class: "check" }, h("input", {
        type: "checkbox", checked: state.outlines, onchange: (event) => this.stage.set({ outlines: event.target.checked }),
      }), t("compare.differences", { n: this.item.differences.length })));
  }

  #showActions() {
    fill(this.actions, (this.item.actions ?? []).map(({ words, key, on, run }) => h("button", {
      "aria-pressed": on === undefined ? null : String(on), title: key ? withKey(words, key) : t(words), onclick: () => { run(); this.#showActions(); },
    }, t(words))));
  }

  #act(key) {
    const action = this.item.actions?.find((one) => one.key === key);
    action?.run();
    this.#showActions();
  }

  #swap() {
    this.stage.set({ top: this.stage.state.top === "query" ? "reference" : "query" });
  }

  #frame() {
    this.frame = this.frame === "query" ? "reference" : "query";
    this.stage.set({ frame: this.frame });
    this.#showControls();
  }

  #nudge(by) {
    const name = { curtain: "line", blend: "opacity" }[this.view];
    if (!name) return;
    this.stage.set({ [name]: Math.min(Math.max(this.stage.state[name] + by, 0), 1) });
    if (name === "opacity") this.#showControls();
  }

  /** The other picture, as long as the key is held. */
  #hold() {
    if (!OVERLAID.includes(this.view)) return;
    const view = this.view;
    if (view !== "flip") this.look("flip");
    clearInterval(this.timer);
    this.stage.set({ flipped: true });
    addEventListener("keyup", () => {
      this.stage.set({ flipped: false });
      if (view !== "flip") this.look(view);
      else this.#beat();
    }, { once: true });
  }

  #beat() {
    clearInterval(this.timer);
    if (this.view === "flip" && this.hertz && !still.matches) {
      this.timer = setInterval(() => this.stage.set({ flipped: !this.stage.state.flipped }), 500 / this.hertz);
    }
  }
}

/** Whether the reference shows more of the scene than the query. */
const showsMore = (item) => (item.query_overlap ?? 1) > (item.reference_overlap ?? 1) + 0.05;

let open = null;

/** Opens the comparison, or moves the one that is open. */
export function compare(given) {
  if (open) {
    open.items = given.items;
    open.at = given.at;
    open.show(given.view && VIEWS.includes(given.view) ? given.view : undefined);
    return;
  }
  open = new Comparison({ ...given, onClose: () => { open = null; given.onClose?.(); } });
}

/** Ends it, where one is open. */
export const endComparison = () => open?.element.close();
