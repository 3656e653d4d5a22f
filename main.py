"""Entry point of the image: `python main.py spec | check | write`."""

import os
import signal

# the imports take their time: until `run` listens, process 1 of a container would not hear of a request to stop
signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))

from destination_milvus.run import run  # noqa: E402 - see above

if __name__ == "__main__":
    run()
