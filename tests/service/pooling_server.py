"""A pooling server in a process of its own, which fails as it is told to.

Usage: python pooling_server.py PORT, 0 for a free one, which is printed.
`POST /control` with `{"mode": ...}` says how texts are answered from then on: `ok`, an HTTP status,
`slow` (after 0.3 s), `hang`, `drip` (a byte now and then), `garbage`, `long` (a mebibyte of
nothing), `short` (one vector too few), `nan`, `other` (another
encoder's vectors), `scaled` (vectors three times as long), or `first scaled` (one of them).
`GET /control` says how many requests there were, and the largest of them.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gustibus.encoders import load_encoder

ENCODER = load_encoder("hashing", dim=64)
state = {"mode": "ok", "requests": 0, "connections": 0, "largest": 0, "key": "", "trace": []}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        state["connections"] += 1

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, json.dumps(state).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/control":
            state.update(body)
            self.answer(200, b"{}")
            return
        state["requests"] += 1
        state["largest"] = max(state["largest"], len(body["input"]))
        state["key"] = self.headers.get("authorization", "")
        state["trace"] = [self.headers.get(name, "") for name in ("traceparent", "tracestate")]
        mode = state["mode"]
        if mode == "slow":
            time.sleep(0.3)
        if mode == "hang":
            time.sleep(30)
        elif mode == "drip":
            self.send_response(200)
            self.send_header("content-length", "1000000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)
        elif mode == "long":
            self.answer(200, b" " * (1 << 20))
        elif mode == "garbage":
            self.answer(200, b"<html>")
        elif isinstance(mode, int):
            self.answer(mode, b"{}")
        else:
            self.answer(200, vectors(body["input"], mode))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def vectors(texts, mode):
    rows = [
        {"index": n, "object": "embedding", "embedding": row.tolist()}
        for n, row in enumerate(ENCODER.encode(texts))
    ]
    if mode == "nan":
        rows[0]["embedding"][0] = 1e300
    if mode in ("scaled", "first scaled"):
        for row in rows[: 1 if mode == "first scaled" else None]:
            row["embedding"] = [3.0 * number for number in row["embedding"]]
    if mode == "other":
        for row in rows:
            row["embedding"].reverse()
    return json.dumps({"object": "list", "data": rows[::-1][mode == "short" :]}).encode()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
