// The dialog of rules: in an order that is dragged or moved by buttons, and what they would mark.

import { download, fill, h } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { RISKS, checked, keepRules, plan, rules } from "./rules.js";
import { say } from "./toast.js";

/** @param {import("./groups.js").GroupsView} view */
export function showRules(view) {
  let given = rules();
  const list = h("ol", { class: "rules" });
  const preview = h("p", { class: "preview", role: "status", "aria-live": "polite" });
  const apply = h("button", { type: "button", class: "main", onclick: () => { view.apply(plan(view.shown, given)); dialog.close(); } }, t("rules.apply"));

  function change(next) {
    given = checked({ ...given, ...next });
    keepRules(given);
    draw();
  }

  function move(name, to, by = 0) {
    const order = given.order.filter((one) => one !== name);
    order.splice(to, 0, name);
    change({ order });
    const [up, down] = list.children[to].querySelectorAll("button");
    if (by) (by < 0 && !up.disabled || down.disabled ? up : down).focus();
  }

  function row(name, at) {
    const step = (by, words, sign) => h("button", { class: "quiet", disabled: !given.order[at + by], "aria-label": t(words, { rule: t(`rule.${name}`) }), title: t(words, { rule: "" }),
      onclick: () => move(name, at + by, by) }, sign);
    return h("li", { draggable: "true", "data-rule": name, ondragstart: (event) => event.dataTransfer.setData("text/plain", name), ondragover: (event) => event.preventDefault(),
      ondrop: (event) => { event.preventDefault(); event.stopPropagation(); const moved = event.dataTransfer.getData("text/plain"); if (given.order.includes(moved)) move(moved, at); } },
      h("span", { class: "grip", "aria-hidden": "true" }, "⠿"), h("label", { class: "check" }, h("input", { type: "checkbox", checked: !given.off.includes(name),
        onchange: (event) => change({ off: event.target.checked ? given.off.filter((one) => one !== name) : [...given.off, name] }) }), t(`rule.${name}`)),
      h("span", { class: "steps" }, step(-1, "rules.up", "↑"), step(1, "rules.down", "↓")),
      name === "folder" && h("label", { class: "folders" }, t("rule.folder.which"), h("textarea", { rows: 2, placeholder: t("rule.folder.hint"), onchange: (event) =>
        change({ folders: event.target.value.split("\n").map((line) => line.trim()).filter(Boolean) }) }, given.folders.join("\n"))));
  }

  function draw() {
    fill(list, given.order.map(row));
    const found = plan(view.shown, given);
    fill(preview, found.of ? t("rules.preview", { n: found.files, of: found.of, bytes: bytes(found.bytes) }) : t("rules.preview.none"));
    apply.disabled = !found.files;
  }

  const file = h("input", { type: "file", accept: ".json,application/json", class: "unseen", tabindex: "-1", "aria-hidden": "true", onchange: async (event) => {
    try {
      change(checked(JSON.parse(await event.target.files[0].text())));
    } catch {
      say(t("rules.unreadable"), { bad: true });
    }
  } });
  const dialog = h("dialog", { class: "small rules-dialog", "aria-labelledby": "rules-title", onclose: () => dialog.remove() },
    h("h2", { id: "rules-title" }, t("rules.title")), h("p", { class: "quiet" }, t("rules.about")), list,
    h("fieldset", {}, h("legend", {}, t("rules.also")), RISKS.map((risk) => h("label", { class: "check" }, h("input", { type: "checkbox", checked: given.risks.includes(risk),
      onchange: (event) => change({ risks: event.target.checked ? [...given.risks, risk] : given.risks.filter((one) => one !== risk) }) }), t(`risk.${risk}`)))),
    h("form", { method: "dialog", class: "buttons stuck" }, preview, h("button", { type: "button", class: "quiet", onclick: () => download([JSON.stringify(given, null, 1)], "featmatch-rules.json", "application/json") }, t("rules.export")),
      file, h("button", { type: "button", class: "quiet", onclick: () => file.click() }, t("rules.import")), h("button", {}, t("close")), apply));
  document.body.append(dialog);
  draw();
  dialog.showModal();
}
