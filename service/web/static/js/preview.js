// Pictures of this device on screen, with the service's help where the browser cannot read them.

import { send } from "./api.js";

const previews = new WeakMap(); // blob -> promise of a blob that every browser reads

/** Show a picture in an image element; `failed` is called where nobody can read it. */
export function showPreview(image, blob, failed) {
  const first = URL.createObjectURL(blob);
  image.onload = () => URL.revokeObjectURL(first);
  image.onerror = async () => {
    URL.revokeObjectURL(first);
    image.onerror = failed;
    try {
      const readable = await readableCopy(blob);
      if (image.src !== first) return; // another picture took its place
      image.src = URL.createObjectURL(readable);
      image.onload = () => URL.revokeObjectURL(image.src);
    } catch {
      failed();
    }
  };
  image.src = first;
}

/** A JPEG of a picture that the browser cannot read, HEIC or TIFF for instance. */
export function readableCopy(blob) {
  if (!previews.has(blob)) {
    const body = new FormData();
    body.append("file", blob);
    previews.set(blob, send("/preview", { method: "POST", body }).then((answer) => answer.blob()));
  }
  return previews.get(blob);
}
