"""`/openapi.json` describes what there is: all routes, all error codes; and requests made from it find no way past it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.wire import request, stored
from lazu import errors


@pytest.fixture
def description(server):
    return request(server, "GET", "/openapi.json").json


def test_the_description_has_every_route_and_no_other(app, description):
    """But for the pages for people, which show what is described here."""
    routes = {
        (method, rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("page.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and set(operation["tags"]) & ({"files", "health"} | set(app.blueprints))
    }
    assert described == routes


def test_the_description_has_every_error_code_that_its_routes_answer(description):
    described = {
        (int(status), code)
        for status, response in description["components"]["responses"].items()
        for code in response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
    }
    assert described == {(status, code) for status, code, _ in errors.table()}


def operations(description):
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method} {path}", operation


def test_the_description_has_what_any_route_of_its_kind_may_answer(description):
    """A crash and a database that is away, a wrong key; what writes to the disk, a full one."""
    for name, operation in operations(description):
        wanted = {"500", "503"} if name not in ("get /healthz", "get /openapi.json") else set()
        wanted |= {"401"} if operation.get("security") != [] else set()
        reads = name.startswith("get ") or ("/v1/responses/{" in name)
        assert set(operation["responses"]) >= (wanted if reads else {*wanted, "507"}), name


def test_every_reference_in_the_description_leads_somewhere(description):
    def references(node):
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from references(value)
        if isinstance(node, dict) and "$ref" in node:
            yield node["$ref"]

    for reference in references(description):
        _, *place = reference.split("/")
        found = description
        for name in place:
            found = found[name]


def test_requests_made_from_the_description_get_documented_answers(serve, tmp_path):
    """Schemathesis: valid and invalid requests for every operation; no 500, documented status, type and schema."""
    program = Path(sys.executable).with_name("schemathesis")
    server = serve()
    key = server.new_key()
    stored(server, key)
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,ignored_auth"
    count, seconds = ("200", "600") if os.environ.get("LAZU_LONG_TESTS") else ("10", "30")
    command = [program, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--include-tag", "files", "--include-tag", "uploads", "--include-tag", "health",
               "--max-examples", count, "--max-time", seconds, "--checks", checks, "--seed", "4", "--exclude-path", "/metrics", "--no-color"]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
