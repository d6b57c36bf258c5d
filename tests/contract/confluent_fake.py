"""A schema registry in this process that answers like Confluent's, as far as our codec asks."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType


@dataclass
class FakeRegistry:
    """
    Subjects and their versions, on a free port of loopback while in a ``with``.

    ``asked`` has every request as ``METHOD path``. Set ``failing`` to a status to have every
    request answered with it.
    """

    schemas: dict[int, dict] = field(default_factory=dict)
    subjects: dict[str, list[int]] = field(default_factory=dict)
    compatibility: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: int | None = None

    def __enter__(self):
        registry = self

        class Handler(_Handler):
            state = registry

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Answer nobody any more. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method, path, body):
        """Give status and JSON, as Confluent's API reference has them."""
        self.asked.append(f"{method} {'/'.join(path)}")
        if self.failing is not None:
            return self.failing, {"error_code": self.failing, "message": "not now"}
        match method, path:
            case "GET", ["schemas", "ids", number]:
                if int(number) not in self.schemas:
                    return 404, {"error_code": 40403, "message": "Schema not found"}
                return 200, self.schemas[int(number)]
            case "POST", ["subjects", subject]:
                return self._look_up(subject, body)
            case "POST", ["subjects", subject, "versions"]:
                return self._register(subject, body)
            case "PUT", ["config", subject]:
                self.compatibility[subject] = body["compatibility"]
                return 200, body
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _look_up(self, subject, body):
        if subject not in self.subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        for version, number in enumerate(self.subjects[subject], 1):
            if _same(self.schemas[number], body):
                return 200, {"subject": subject, "id": number, "version": version, **body}
        return 404, {"error_code": 40403, "message": "Schema not found"}

    def _register(self, subject, body):
        versions = self.subjects.setdefault(subject, [])
        if versions and not self._fits(subject, self.schemas[versions[-1]], body):
            return 409, {"error_code": 409, "message": "Schema is incompatible with an earlier one"}
        known = [number for number, each in self.schemas.items() if _same(each, body)]
        number = known[0] if known else len(self.schemas) + 1
        self.schemas[number] = body
        if number not in versions:
            versions.append(number)
        return 200, {"id": number}

    def _fits(self, subject, before, now):
        if self.compatibility.get(subject) != "BACKWARD":
            return True
        result = ReaderWriterCompatibilityChecker().get_compatibility(
            reader=avro.schema.parse(now["schema"]), writer=avro.schema.parse(before["schema"])
        )
        return result.compatibility is SchemaCompatibilityType.compatible


def _same(one, other):
    return json.loads(one["schema"]) == json.loads(other["schema"])


class _Handler(BaseHTTPRequestHandler):
    state: FakeRegistry

    def _do(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = [unquote(part) for part in self.path.partition("?")[0].strip("/").split("/")]
        status, answer = self.state.answer(self.command, path, body)
        encoded = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = do_PUT = _do  # noqa: N815  # http.server finds them by these names

    def log_message(self, *_):
        """Say nothing."""
