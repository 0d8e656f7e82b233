// Mouse, pen and fingers on a stage: pan, pinch, wheel, the curtain's line, and a swipe to the next.

const NEAR_PX = 28;
const SWIPE_PX = 70;

export class Fingers {
  /** @param {HTMLElement} element @param {import("./stage.js").Stage} stage */
  constructor(element, stage) {
    this.element = element;
    this.stage = stage;
    this.down = new Map();
    this.what = "";
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, (event) => this.#lift(event));
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = this.#inRoom(...this.#place(event));
      stage.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    }, { passive: false });
    element.addEventListener("dblclick", (event) => {
      const [x, y] = this.#inRoom(...this.#place(event));
      if (stage.fitted) stage.zoomBy(2.5, x, y);
      else stage.fit();
    });
  }

  #place(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Beside one another, the second picture is moved by the same places as the first. */
  #inRoom(x, y) {
    const room = this.stage.room;
    if (this.stage.state.view !== "beside") return [x, y];
    return this.stage.stacked ? [x, y % room.height] : [x % room.width, y];
  }

  #press(event) {
    if (event.button > 0) return;
    const [x, y] = this.#place(event);
    this.stage.point(x, y);
    this.down.set(event.pointerId, [x, y]);
    this.element.setPointerCapture(event.pointerId);
    this.began = [x, y];
    const { view, line } = this.stage.state;
    const near = view === "curtain" && Math.abs(x - line * this.element.clientWidth) < NEAR_PX;
    this.what = this.down.size > 1 ? "pinch" : near ? "line" : event.pointerType === "touch" && this.stage.fitted ? "swipe" : "pan";
  }

  #move(event) {
    const [x, y] = this.#place(event);
    this.stage.point(x, y);
    const before = this.down.get(event.pointerId);
    if (!before) return;
    if (this.what === "line") this.stage.set({ line: Math.min(Math.max(x / this.element.clientWidth, 0), 1) });
    else if (this.what === "pan") this.stage.moveBy(x - before[0], y - before[1]);
    else if (this.what === "pinch") this.#pinch(event.pointerId, [x, y]);
    this.down.set(event.pointerId, [x, y]);
  }

  #pinch(id, now) {
    const other = [...this.down].find(([pointer]) => pointer !== id)?.[1];
    if (!other) return;
    const before = this.down.get(id);
    const far = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
    const [x, y] = this.#inRoom((now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    this.stage.zoomBy(far(now) / far(before), x, y);
    this.stage.moveBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  #lift(event) {
    this.down.delete(event.pointerId);
    if (this.what !== "swipe" || event.type === "pointercancel") return;
    const [x, y] = this.#place(event);
    const [across, down] = [x - this.began[0], y - this.began[1]];
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(down)) {
      this.element.dispatchEvent(new CustomEvent("swipe", { detail: across < 0 ? 1 : -1 }));
    }
  }
}
