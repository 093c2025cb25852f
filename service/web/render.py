"""From a template to an answer that browsers hold to a strict content security policy."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = _FOLDER / "templates"
STATIC: Final = _FOLDER / "static"

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self'; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Of every page: nothing inline, nothing from elsewhere."""

REFERENCE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self' data:; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Of the API reference alone, whose libraries write their styles into the page."""

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=()",
}


def page(template: str, policy: str = PAGE_POLICY, **facts: object) -> HTMLResponse:
    """Fill a template; whatever `facts` hold is shown as text."""
    content = _environment().get_template(template).render(**facts)
    return HTMLResponse(content, headers={**_HEADERS, "Content-Security-Policy": policy})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
