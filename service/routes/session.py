"""Sign in with a key, see who is signed in, sign out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from service.guard.gate import Caller, unauthorized
from service.guard.guard import Guarded
from service.guard.sessions import cookie_header
from service.schemas.problem import problems
from service.schemas.session import SessionAnswer

router = APIRouter(tags=["session"])

_MOST_PATH_CHARACTERS = 2000


@router.post(
    "/login",
    response_model=SessionAnswer,
    responses={
        **problems(unauthorized=401),
        303: {"description": "With `next`: signed in, or back to the form if the key is wrong."},
    },
)
async def sign_in(
    request: Request,
    guard: Guarded,
    key: Annotated[str, Form(max_length=1024, description="A key.")],
    next_path: Annotated[
        str, Form(alias="next", max_length=_MOST_PATH_CHARACTERS, description="A page to go to.")
    ] = "",
) -> Response:
    """Exchange a key for a session cookie, which browsers send and scripts cannot read."""
    found = guard.ring.find(key.encode(errors="surrogateescape"))
    if found is None:
        return RedirectResponse("/login?failed=true", 303) if next_path else unauthorized()
    answer: Response
    if next_path:
        answer = RedirectResponse(own_path(next_path), 303)
    else:
        described = SessionAnswer(keys_required=True, name=found.name, scopes=sorted(found.scopes))
        answer = JSONResponse(described.model_dump(mode="json"))
    _set_cookie(request, answer, guard.sessions.issue(found), guard.sessions.lifetime_s)
    return answer


@router.post("/logout", status_code=204, responses=problems())
async def sign_out(request: Request) -> Response:
    """Take the session cookie away."""
    answer = Response(status_code=204)
    _set_cookie(request, answer, "", 0)
    return answer


@router.get("/api/v1/session")
async def show_session(request: Request, guard: Guarded) -> SessionAnswer:
    """Whether keys are asked for, and what the one shown is good for."""
    caller: Caller = request.state.caller
    return SessionAnswer(
        keys_required=guard.ring.required, name=caller.name, scopes=sorted(caller.scopes)
    )


def own_path(path: str) -> str:
    """A path of this service; anything that a browser might take for another site's becomes /."""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _set_cookie(request: Request, answer: Response, value: str, lifetime_s: int) -> None:
    secure = request.url.scheme == "https"
    answer.headers.append("Set-Cookie", cookie_header(value, lifetime_s, secure=secure))
