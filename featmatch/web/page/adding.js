// Adding images: files from this machine, or a folder of the service's.

import { about, learn, may } from "./about.js";
import { address, ask, forget } from "./api.js";
import { fill, h } from "./dom.js";
import { bytes, listed, t } from "./i18n.js";
import { go } from "./routes.js";
import { say } from "./toast.js";
import { trouble } from "./words.js";

const AT_ONCE = 2;

export class Adding {
  /** @param {() => void} onAdded */
  constructor(onAdded) {
    this.onAdded = onAdded;
    this.isOpen = false;
    this.waiting = [];
    this.working = 0;
    this.counts = { added: 0, skipped: 0, failed: 0 };
    this.element = h("section", { class: "adding", hidden: true });
    this.rows = h("ul", { class: "uploads" });
    this.wrong = h("p", { class: "warn", role: "alert" });
    this.status = h("p", { role: "status", "aria-live": "polite" });
  }

  show(open) {
    this.isOpen = open;
    this.element.hidden = !open;
    if (!open || this.element.hasChildNodes()) return;
    const input = h("input", { type: "file", multiple: true, accept: "image/*,.heic,.heif,.avif,.pdf,.tif,.tiff", class: "unseen", tabindex: "-1", "aria-hidden": "true",
      onchange: (event) => { this.upload(event.target.files); event.target.value = ""; } });
    fill(this.element,
      h("header", {}, h("h2", {}, t("images.add")), h("button", { class: "quiet close", "aria-label": t("close"), onclick: () => go("#/images") }, "✕")),
      may.upload ? h("div", { class: "drop small" }, input, h("p", {}, t("adding.drop")), h("button", { onclick: () => input.click() }, t("adding.choose"))) : h("p", { class: "quiet" }, t("adding.no_uploads")),
      may.add_paths && this.#pathForm(), this.status, this.rows);
  }

  #pathForm() {
    return h("form", { class: "paths", onsubmit: async (event) => {
      event.preventDefault();
      const form = new FormData(event.target);
      const body = { kind: "add", paths: [String(form.get("path"))], pages: form.has("pages"), prune: form.has("prune"), ...(form.get("text") && { text: String(form.get("text")) }) };
      try {
        await ask("v1/jobs", { method: "POST", body });
        go("#/jobs");
      } catch (error) {
        fill(this.wrong, trouble(error, about.limits));
      }
    } }, h("label", {}, t("adding.folder"), h("input", { name: "path", required: true, placeholder: "/photos/2026" })), this.wrong,
      h("details", { class: "fold" }, h("summary", {}, t("options")),
        h("label", { class: "check" }, h("input", { type: "checkbox", name: "pages" }), t("adding.pages")), h("label", { class: "check" }, h("input", { type: "checkbox", name: "prune" }), t("adding.prune")),
        h("label", {}, t("adding.text"), h("input", { name: "text" }))), h("button", {}, t("adding.start")));
  }

  /** Brings files to the service, some at a time. */
  upload(files) {
    if (!may.upload) { say(t("adding.no_uploads"), { bad: true }); return; }
    for (const file of files) {
      const bar = h("progress", { max: 1, value: 0, "aria-label": file.name });
      const said = h("span", { class: "quiet" }, bytes(file.size));
      const row = h("li", {}, h("bdi", { class: "file" }, file.name), bar, said);
      this.rows.prepend(row);
      this.waiting.push({ file, row, bar, said });
    }
    this.#next();
  }

  #next() {
    while (this.working < AT_ONCE && this.waiting.length) {
      this.working++;
      this.#bring(this.waiting.shift()).finally(() => {
        this.working--;
        this.#next();
        if (!this.working) this.#done();
      });
    }
    this.#tell();
  }

  async #bring({ file, row, bar, said }) {
    try {
      if (file.size > about.limits.upload_bytes) throw Object.assign(new Error(), { code: "body_too_large", size: file.size });
      const { added, failed } = await send(file, (share) => { bar.value = share; });
      const what = added.length ? "added" : failed.length ? "failed" : "skipped";
      this.counts[what]++;
      row.className = what;
      fill(said, failed.length ? trouble({ code: failed[0].status }, about.limits) : t(`adding.${what}`));
    } catch (error) {
      this.counts.failed++;
      row.className = "failed";
      fill(said, trouble(error, about.limits));
    }
    bar.remove();
  }

  #tell() {
    const { added, skipped, failed } = this.counts;
    const left = this.waiting.length + this.working;
    fill(this.status, left > 0 && h("b", {}, t("adding.left", { n: left })), left > 0 && " ",
      listed([added && t("adding.count.added", { n: added }), skipped && t("adding.count.skipped", { n: skipped }), failed && t("adding.count.failed", { n: failed })]));
  }

  async #done() {
    forget();
    await learn();
    this.onAdded();
    dispatchEvent(new Event("learned"));
  }
}

/** One file; fetch does not tell how far it is. */
function send(file, onShare) {
  const form = new FormData();
  form.append("image", file);
  form.append("name", file.webkitRelativePath || file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/images"));
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onShare(loaded / total);
    request.onload = () => request.status < 300 ? resolve(request.response) : reject(Object.assign(new Error(), { code: request.response?.code }));
    request.onerror = () => reject(Object.assign(new Error(), { code: "gone" }));
    request.send(form);
  });
}
