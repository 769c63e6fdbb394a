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


def codes(kind):
    yield kind.code
    for each in kind.__subclasses__():
        yield from codes(each)


def test_the_description_has_every_error_code_that_its_routes_answer(description):
    described = set()
    for response in description["components"]["responses"].values():
        described |= set(response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"])
    # 405 belongs to no operation.
    assert set(codes(errors.ApiError)) - {"method_not_allowed", "client_left"} <= described


def test_requests_made_from_the_description_get_documented_answers(serve, tmp_path):
    """Schemathesis: valid and invalid requests for every operation; no 500, documented status, type and schema."""
    program = Path(sys.executable).with_name("schemathesis")
    server = serve()
    key = server.new_key()
    stored(server, key)
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,ignored_auth"
    count, seconds = ("200", "600") if os.environ.get("LAZU_LONG_TESTS") else ("10", "30")
    command = [program, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--include-tag", "files", "--include-tag", "health",
               "--max-examples", count, "--max-time", seconds, "--checks", checks, "--seed", "4", "--exclude-path", "/metrics", "--no-color"]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
