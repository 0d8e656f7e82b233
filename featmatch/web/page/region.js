// A rectangle on a picture: drawn with mouse, pen or finger, moved by keys, or told in numbers.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const NUMBERS = ["x", "y", "width", "height"];
const SMALLEST_PX = 4; // on the screen, or it was a click

export class Region {
  /** @param {HTMLImageElement} image @param {(box: number[] | null) => void} onChange with px of the whole picture */
  constructor(image, onChange) {
    this.image = image;
    this.onChange = onChange;
    this.size = { width: 0, height: 0 };
    /** @type {number[] | null} */
    this.box = null;
    this.frame = h("button", { class: "region", type: "button", hidden: true, "data-own-keys": true, onkeydown: (event) => this.#key(event) },
      ["nw", "ne", "sw", "se"].map((corner) => h("span", { class: `handle ${corner}`, "data-corner": corner })));
    this.surface = h("div", { class: "region-surface", onpointerdown: (event) => this.#press(event) }, image, this.frame);
    this.fields = NUMBERS.map((name) => h("input", { type: "number", min: 0, step: 1, onchange: () => this.#typed() }));
    this.whole = h("button", { type: "button", hidden: true, onclick: () => this.set(null) }, t("region.whole"));
    this.hint = h("p", { class: "quiet hint" }, t("region.hint"));
    this.element = h("div", { class: "region-tool" }, this.surface, this.hint, this.whole,
      h("details", { class: "fold" }, h("summary", {}, t("region.numbers")), h("div", { class: "numbers" },
        NUMBERS.map((name, at) => h("label", {}, t(`region.${name}`), this.fields[at])))));
  }

  /** Of the whole picture, px. */
  setSize(width, height) {
    this.size = { width, height };
    this.#draw();
  }

  set(box, tell = true) {
    this.box = box && this.#bounded(box);
    this.#draw();
    if (tell) this.onChange(this.box);
  }

  #bounded([x, y, width, height]) {
    const size = this.size;
    width = Math.min(Math.max(Math.round(width), 1), size.width);
    height = Math.min(Math.max(Math.round(height), 1), size.height);
    return [Math.min(Math.max(Math.round(x), 0), size.width - width), Math.min(Math.max(Math.round(y), 0), size.height - height), width, height];
  }

  #draw() {
    const { box, size, frame } = this;
    frame.hidden = !box;
    this.whole.hidden = !box;
    this.hint.hidden = Boolean(box);
    if (box) {
      const shares = [box[0] / size.width, box[1] / size.height, box[2] / size.width, box[3] / size.height];
      ["left", "top", "width", "height"].forEach((side, at) => { frame.style[side] = `${100 * shares[at]}%`; });
      frame.setAttribute("aria-label", t("region.label", { x: String(box[0]), y: String(box[1]), width: String(box[2]), height: String(box[3]) }));
    }
    this.fields.forEach((field, at) => {
      field.max = at % 2 ? size.height : size.width;
      field.value = box ? String(box[at]) : "";
    });
  }

  #typed() {
    const values = this.fields.map((field) => field.value === "" ? NaN : Number(field.value));
    if (values.every((value) => Number.isFinite(value))) this.set(values);
    else if (values.every(Number.isNaN)) this.set(null);
  }

  #point(event) {
    const box = this.surface.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.size.width, ((event.clientY - box.top) / box.height) * this.size.height];
  }

  #press(event) {
    if (event.button > 0 || !this.size.width) return;
    event.preventDefault();
    const began = this.#point(event), old = this.box;
    const corner = event.target.dataset?.corner;
    const moving = old && event.target === this.frame;
    const [x, y, width, height] = old ?? [0, 0, 0, 0];
    const still = corner ? [corner.includes("w") ? x + width : x, corner.includes("n") ? y + height : y] : began;
    this.surface.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const now = this.#point(moved).map((value, at) => Math.min(Math.max(value, 0), at ? this.size.height : this.size.width));
      if (moving) this.set([x + now[0] - began[0], y + now[1] - began[1], width, height], false);
      else if (this.#far(now, still)) this.set([Math.min(now[0], still[0]), Math.min(now[1], still[1]), Math.abs(now[0] - still[0]), Math.abs(now[1] - still[1])], false);
    };
    const end = () => {
      this.surface.removeEventListener("pointermove", move);
      if (this.box) this.frame.focus();
      if (String(this.box) !== String(old)) this.onChange(this.box);
    };
    this.surface.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) this.surface.addEventListener(name, end, { once: true });
  }

  #far(a, b) {
    const shown = this.surface.clientWidth / this.size.width;
    return Math.abs(a[0] - b[0]) * shown > SMALLEST_PX && Math.abs(a[1] - b[1]) * shown > SMALLEST_PX;
  }

  #key(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") this.set(null);
    else if (by) {
      const step = event.shiftKey ? 10 : 1;
      this.set([this.box[0] + by[0] * step, this.box[1] + by[1] * step, this.box[2], this.box[3]]);
    } else return;
    event.preventDefault();
  }
}
