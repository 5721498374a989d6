"""A PAXS that keeps nothing, for measure.sh: it signs anyone in, pours uploads away and has results at once.

    python3 sink.py LOG        prints its port; LOG gets a line for each upload: user agent, bytes, seconds

The seconds run from the first byte of an upload's body to its last, for minuted and curl alike.
"""

import json
import socket
import sys
import threading
import time
import uuid

MEETINGS = {}
MINUTES = {
    "transcription": {"content": {"transcription": {"summary": "Nothing was said.", "segments": []}}},
    "meeting note": {"markdown": "Nothing was said."},
}


def serve(connection, log):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(1 << 20)
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            got = connection.recv(65536)
            if not got:
                return
            rest += got
        head, rest = rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        method, target, _ = first.split(" ", 2)
        length = int(headers.get("content-length", 0))
        begun = time.monotonic()
        if method == "POST" and target.startswith("/api/recordings"):
            left, rest = length - len(rest), b""
            while left > 0:
                got = connection.recv_into(buffer)
                if not got:
                    return
                left -= got
            took = time.monotonic() - begun
            agent = headers.get("user-agent", "-").split("/")[0]
            log.write(f"{agent} {length} {took:.6f}\n")
            log.flush()
            body = b""
        else:
            while len(rest) < length:
                rest += connection.recv(65536)
            body, rest = rest[:length], rest[length:]
        answer = json.dumps(answer_to(method, target.split("?")[0], body)).encode()
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
        )


def answer_to(method, path, body):
    if path.endswith("/provider/poll"):
        return {"status": "complete", "code": "code"}
    if path.endswith("/provider/token"):
        pair = {"access_token": uuid.uuid4().hex, "refresh_token": uuid.uuid4().hex}
        return pair | {"token_type": "Bearer", "expires_in": 3600}
    if path == "/api/users/me":
        return {"email": "ann@example.com"}
    if path == "/api/sessions" and method == "POST":
        meeting = {"id": str(uuid.uuid4())} | json.loads(body)
        MEETINGS[meeting["id"]] = meeting
        return meeting
    if path == "/api/sessions":
        return []
    if path.startswith("/api/sessions/"):
        return MEETINGS.get(path.rsplit("/", 1)[1], {})
    if path == "/api/recordings":
        return {"id": str(uuid.uuid4())}
    if path.endswith("/analysis"):
        of = lambda name: {"analysis_type": name, "status": "completed", "report_content": json.dumps(MINUTES[name])}
        return [of(name) for name in MINUTES]
    return {}


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    with open(sys.argv[1], "a") as log:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, log), daemon=True).start()


main()
