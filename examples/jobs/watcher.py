"""A worker: no port, runs for ever. Asks another app how it is, through the edge, and logs the answer."""

import os
import signal
import threading
import urllib.request


def ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.read(200).decode(errors="replace").strip()
    except OSError as error:
        return f"no answer: {error}"


def main() -> None:
    app = os.environ.get("WATCH", "billing")
    every = float(os.environ.get("EVERY_SECONDS", "5"))
    url = f"{os.environ['MESH_EDGE']}/{app}/hello"
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while True:
        print(f"{app}: {ask(url)}", flush=True)
        if ended.wait(every):
            return


if __name__ == "__main__":
    main()
