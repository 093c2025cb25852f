"""Every error explains itself."""

from __future__ import annotations

from core import errors


def _all(kind: type[errors.LookalikeError]) -> list[type[errors.LookalikeError]]:
    return [kind, *(inner for sub in kind.__subclasses__() for inner in _all(sub))]


def _own() -> list[type[errors.LookalikeError]]:
    return [kind for kind in _all(errors.LookalikeError) if kind.__module__ == errors.__name__]


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in _own()]
    assert len(set(codes)) == len(codes)


def test_the_docstring_is_the_message_where_none_is_given() -> None:
    for kind in _own():
        assert str(kind()) == kind.__doc__
        assert str(kind("said so")) == "said so"


def test_the_drawn_tree_names_them_all() -> None:
    for kind in _own():
        assert kind.__name__ in (errors.__doc__ or "")
