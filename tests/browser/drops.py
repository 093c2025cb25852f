"""Files as they come to a page by hand: dropped, or pasted."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_DISPATCH = """([event, name, type, data, size]) => {
  const transfer = new DataTransfer();
  const bytes = data === null ? new Uint8Array(size)
    : Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type }));
  const made = event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.querySelector("main").dispatchEvent(made);
}"""


def bring(page: Page, how: str, name: str, content: bytes | int, kind: str = "image/jpeg") -> None:
    """Drop or paste a file; a number as `content` gives so many zero bytes."""
    data = None if isinstance(content, int) else base64.b64encode(content).decode("ascii")
    size = content if isinstance(content, int) else len(content)
    page.evaluate(_DISPATCH, [how, name, kind, data, size])
