"""Sessions of browsers: a key is shown once, and a cookie stands for it that no script can read."""

from __future__ import annotations

from starlette.responses import Response

from featmatch.service.calls import Call, Endpoint, json_answer
from featmatch.service.guard import COOKIE
from featmatch.service.keys import Keys
from featmatch.service.parameters import Parameters, parsed_object
from featmatch.service.problems import Problem


def session_endpoints(keys: Keys | None) -> tuple[Endpoint, ...]:
    """The addresses of sessions; without keys there is nothing that a session could stand for."""

    async def begin(call: Call) -> Response:
        options = Parameters(parsed_object(await call.body()))
        secret = options.text("key")
        options.end()
        if keys is None:
            return json_answer({"scope": "admin", "key": None})
        if not secret:
            raise Problem("key_missing")
        key = keys.key_of(secret)
        if key is None:
            raise Problem("key_unknown")
        answer = json_answer({"scope": key.scope, "key": key.name})
        # Behind a proxy that ends TLS, the page's own address tells that there is some.
        secure = (call.request.headers.get("origin") or call.request.url.scheme).lower().startswith("https")
        path = call.mounted.base or "/"
        answer.set_cookie(COOKIE, keys.begin_session(key), path=path, httponly=True, samesite="strict", secure=secure)
        return answer

    async def end(call: Call) -> Response:
        token = call.request.cookies.get(COOKIE)
        if keys is not None and token:
            keys.end_session(token)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, path=call.mounted.base or "/")
        return answer

    return (
        Endpoint("POST", "/v1/session", begin, "Begin a session with a key", None, "object",
                 answers={200: "Whose key it is"}, codes=("key_missing", "key_unknown"), takes="Session"),
        Endpoint("DELETE", "/v1/session", end, "End a session", None, answers={204: "It is ended"}),
    )  # fmt: skip
