"""Stands in for vLLM's server where a test is about its process: same options, same routes, up at once.

A file ``kill`` in the folder ``STAND_IN`` ends it at its start, with the text of the file as its last words.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OPTIONS = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send({"data": [{"id": OPTIONS["--served-model-name"]}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.5)
        self.send({"choices": [{"token_ids": [7, 2], "finish_reason": "stop", "text": "x"}]})

    def send(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    last_words = Path(os.environ["STAND_IN"]) / "kill"
    if last_words.exists():
        sys.exit(last_words.read_text())
    sys.stdout.write(f"threads {os.environ.get('OMP_NUM_THREADS')}\n")
    sys.stdout.flush()
    ThreadingHTTPServer((OPTIONS["--host"], int(OPTIONS["--port"])), Handler).serve_forever()
