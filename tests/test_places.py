"""The places of file ids are those of the OpenAI API: every one that the SDK's request types have is dealt with."""

import types
import typing

import pytest
import typing_extensions
from openai.types.chat import completion_create_params
from openai.types.responses import (
    input_token_count_params,
    response_compact_params,
    response_create_params,
)

from lazu.errors import InvalidRequest
from lazu.gateway import references

#: Where an id is history: what the model cited or found. Nobody resolves it.
HISTORY = ("annotations", "results")


def hints(kind):
    return typing_extensions.get_type_hints(kind, include_extras=False)


def samples(kind, path=()):
    """A value of each shape of the type `kind` that has a file id in it, with the path of the id."""
    origin, arguments = typing_extensions.get_origin(kind), typing_extensions.get_args(kind)
    if typing_extensions.is_typeddict(kind):
        if path.count(kind) < 2:
            yield from _of_fields(kind, path)
    elif origin in (typing.Union, types.UnionType, typing_extensions.Required, typing_extensions.Annotated):
        for each in arguments:
            yield from samples(each, path)
    elif origin is dict:
        yield from (({"name": value}, ["name", *at]) for value, at in samples(arguments[1], path))
    elif arguments and origin is not typing_extensions.Literal:
        yield from (([value], [0, *at]) for value, at in samples(arguments[0], path))


def _of_fields(kind, path):
    tag = {}
    for name, hint in hints(kind).items():
        literals = [each for each in flat(hint) if typing_extensions.get_origin(each) is typing_extensions.Literal]
        if name == "type" and literals:
            tag = {"type": typing_extensions.get_args(literals[0])[0]}
    for name, hint in hints(kind).items():
        if name == "file_id":
            yield {**tag, name: "file-abc"}, [name]
        elif name == "file_ids":
            yield {**tag, name: ["file-abc"]}, [name]
        else:
            yield from (({**tag, name: value}, [name, *at]) for value, at in samples(hint, (*path, kind)))


def flat(hint):
    if typing_extensions.get_origin(hint) in (typing.Union, types.UnionType):
        for each in typing_extensions.get_args(hint):
            yield from flat(each)
    else:
        yield hint


def dotted(path):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def cases():
    for name, kind, find in (
        ("create", response_create_params.ResponseCreateParamsNonStreaming, references.responses),
        ("input_tokens", input_token_count_params.InputTokenCountParams, references.responses),
        ("compact", response_compact_params.ResponseCompactParams, references.responses),
        ("chat", completion_create_params.CompletionCreateParamsNonStreaming, references.chat),
    ):
        for value, path in samples(kind):
            yield pytest.param(find, value, path, id=f"{name} {dotted(path)} {kinds(value)}")


def kinds(value):
    """The types on the way to the id, to tell cases apart."""
    if isinstance(value, list):
        return kinds(value[0])
    inner = [kinds(each) for key, each in value.items() if isinstance(each, (dict, list)) and key != "file_ids"]
    return "/".join(filter(None, [str(value.get("type", "")), *inner]))


CASES = list(cases())


@pytest.mark.parametrize(("find", "request_", "path"), CASES)
def test_no_place_of_the_api_lets_an_id_pass_unseen(find, request_, path):
    if any(step in HISTORY for step in path):
        assert list(find(request_)) == []
    elif path[-1] == "file_ids":
        with pytest.raises(InvalidRequest) as refused:
            list(find(request_))
        assert refused.value.param == dotted(path)
    else:
        (found,) = find(request_)
        assert (found.file_id, found.where) == ("file-abc", dotted(path))


def test_the_types_have_the_places_that_are_known():
    """The test above is worth nothing if it finds none."""
    found = {case.id for case in CASES}
    assert len(found) > 20
    for part in ("input_file", "input_image", "computer_screenshot", "image_generation", "code_interpreter", "shell", "file_citation"):
        assert any(part in each for each in found), part
