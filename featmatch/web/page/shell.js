// What is around all views: title, tabs, language, theme.

import { fill, h, keep, recall } from "./dom.js";
import { LANGUAGES, speech, t } from "./i18n.js";
import { showKeys } from "./keys.js";

const THEMES = ["auto", "light", "dark"];

/** As the reader chose it. */
export function setTheme() {
  const theme = recall("theme", "auto");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function themeChoice() {
  const chosen = recall("theme", "auto");
  return h("select", { "aria-label": t("theme"), title: t("theme"), onchange: (event) => { keep("theme", event.target.value); setTheme(); } },
    THEMES.map((theme) => h("option", { value: theme, selected: theme === chosen }, t(`theme.${theme}`))));
}

function languageChoice() {
  const change = (event) => {
    keep("language", event.target.value);
    const url = new URL(location.href);
    url.searchParams.delete("lang");
    if (url.href === location.href) location.reload();
    else location.href = url.href;
  };
  return h("select", { "aria-label": t("language"), title: t("language"), onchange: change },
    Object.entries(LANGUAGES).map(([lang, name]) => h("option", { value: lang, lang, selected: lang === speech.lang }, name)));
}

/**
 * Builds the frame of the page.
 * @param {{tabs: string[], status?: Element | false, more?: Element[]}} parts
 * @returns {{main: HTMLElement, banner: HTMLElement, mark: (tab: string) => void}}
 */
export function buildShell({ tabs, status = false, more = [] }) {
  const links = tabs.map((tab) => h("a", { href: `#/${tab}`, "data-tab": tab }, h("span", { class: `icon ${tab}`, "aria-hidden": "true" }), t(`tab.${tab}`)));
  const main = h("main", { id: "main", tabindex: "-1" });
  const banner = h("div", { class: "banner", role: "status", "aria-live": "polite", hidden: true });
  const help = h("button", { class: "quiet keyboard", title: t("keys.help"), "aria-label": t("keys.help"), onclick: showKeys }, "?");
  fill(document.body,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip")),
    h("header", { class: "top" },
      h("h1", {}, "featmatch"),
      links.length > 1 && h("nav", { class: "tabs", "aria-label": t("tabs") }, links),
      h("div", { class: "tools" }, status, more, languageChoice(), themeChoice(), help)),
    banner, main);
  return {
    main, banner,
    mark(tab) {
      for (const link of links) {
        if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
  };
}
