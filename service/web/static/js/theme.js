// Light, dark or as the device says. A plain script in the head, so that no page flashes in the
// wrong colours before its modules are loaded.
(() => {
  const NAMES = { auto: "as the device", light: "light", dark: "dark" };
  const NEXT = { auto: "dark", dark: "light", light: "auto" };
  const root = document.documentElement;

  function stored() {
    try {
      const theme = localStorage.getItem("theme");
      return theme in NAMES ? theme : "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.setAttribute("aria-label", `Colours: ${NAMES[theme]}. Change`);
  }

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.getElementById("theme")?.addEventListener("click", () => {
      const theme = NEXT[root.dataset.theme];
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Storage is switched off: the choice lasts as long as the page.
      }
      apply(theme);
    });
  });
})();
