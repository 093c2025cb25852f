// The ways a picture comes in: dropped, pasted, chosen, photographed, or by its address.

import { Problem } from "../api.js";
import { need } from "../dom.js";
import { bytes } from "../format.js";

/** Refuse what the service would refuse, before it is sent. */
export function check(file, mostBytes) {
  const name = file.name || "This picture";
  if (file.size === 0) throw new Problem(`${name} is empty. Choose another picture.`, "empty_file");
  if (file.size > mostBytes) {
    throw new Problem(
      `${name} is too large: it has ${bytes(file.size)}, and at most ${bytes(mostBytes)} can be searched with. Save it smaller and try again.`,
      "upload_too_large",
    );
  }
}

/** Watch every way in; `took` is given a file, `asked` an address, `refused` what else came. */
export function watchIntake({ took, asked, refused }) {
  for (const input of document.querySelectorAll("input[type=file][data-intake]")) {
    input.addEventListener("change", () => {
      if (input.files[0]) took(input.files[0]);
      input.value = ""; // choosing the same file again is a change, too
    });
  }
  for (const button of document.querySelectorAll("[data-opens]")) {
    button.addEventListener("click", () => need(button.dataset.opens).click());
  }
  for (const form of document.querySelectorAll("form[data-url]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const url = new FormData(form).get("url").trim();
      if (url) asked(url);
    });
  }
  watchDrops(took, asked, refused);
  watchPaste(took, asked);
}

function watchDrops(took, asked, refused) {
  let depth = 0; // of elements that the pointer went into
  const show = (over) => document.body.classList.toggle("dropping", over);
  document.addEventListener("dragenter", () => show(++depth > 0));
  document.addEventListener("dragleave", () => show(--depth > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show((depth = 0) > 0);
    const file = [...event.dataTransfer.files][0];
    const url = event.dataTransfer.getData("text/uri-list").split("\n")[0].trim();
    if (file) took(file);
    else if (url) asked(url);
    else refused(new Problem("What was dropped is not a picture. Drop a picture file.", "not_an_image"));
  });
}

function watchPaste(took, asked) {
  document.addEventListener("paste", (event) => {
    if (event.target.matches("input, textarea")) return;
    const file = [...event.clipboardData.files][0];
    const text = event.clipboardData.getData("text").trim();
    if (file) took(file);
    else if (/^https?:\/\//.test(text)) asked(text);
  });
}
