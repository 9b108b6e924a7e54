"""As many processes as torchrun would start, of one that has imported everything already."""

from __future__ import annotations

import os
import socket
import sys
import traceback

from tokenexit.cli import main
from tokenexit.workflows import corpus


def start(count: int, arguments: list[str]) -> list[int]:
    """Run the command in each; their codes."""
    assert corpus is not None  # and with it torch and transformers
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            sys.argv = ["tokenexit", *arguments]
            _run()
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _run() -> None:
    code = 1
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:  # a fork must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    codes = start(int(sys.argv[1]), sys.argv[2:])
    sys.exit(0 if not any(codes) else max(codes))
