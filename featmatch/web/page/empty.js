// What is shown while there is nothing to search: how to add pictures, or how far the adding is.

import { about, may } from "./about.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { jobs, progressWords, running } from "./jobs.js";

/** One place, in whichever view is shown. */
export const emptyIndex = h("div", { class: "state" });

/** Draws it anew. */
export function drawEmpty() {
  const job = running();
  if (job?.kind === "add") {
    const { done, total } = job.progress;
    fill(emptyIndex, h("h2", {}, t("empty.adding")), h("progress", { max: total || 1, value: total ? done : null, "aria-label": t("empty.adding") }),
      h("p", { class: "quiet" }, progressWords(job)), h("p", {}, t("empty.soon")));
    return;
  }
  const can = may.upload || may.add_paths;
  fill(emptyIndex, h("h2", {}, t("empty.title")), h("p", {}, t(can ? "empty.add" : "empty.command")),
    can ? h("a", { class: "button main", href: "#/images?add" }, t("images.add")) : h("code", {}, "featmatch add INDEX PHOTOS"));
}

jobs.addEventListener("change", drawEmpty);
