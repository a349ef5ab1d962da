"""Try every case in a process of its own, and print what came of it as JSON.

``python -m bad_inputs.runner MLPClassifier``: a process that imports everything once
and forks for each case; a crash, a hang or an appetite for memory stays in the child.
"""

import gc
import json
import os
import resource
import signal
import sys
import warnings
from typing import Any

import fastbp
from bad_inputs import CASES
from bad_inputs.case import Case

MEMORY = 6 * 2**30  # bytes of address space
SECONDS = 30
CLEAN = (ValueError, TypeError, MemoryError)
# AddressSanitizer reserves terabytes of addresses, and aborts where malloc would fail.
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")


def attempt(case: Case, estimator: Any) -> dict[str, str]:
    """Run a case here, and say how it ended."""
    try:
        case.run(estimator)
    except Exception as error:
        if isinstance(error, AssertionError):
            ending = "wrong"
        else:
            ending = "error" if isinstance(error, CLEAN) else "unclean"
        return {"ending": ending, "says": f"{type(error).__name__}: {error}"[:2000]}
    return {"ending": "ok", "says": ""}


def child(case: Case, estimator: Any, answer: int) -> None:
    signal.alarm(SECONDS)
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    os.write(answer, json.dumps(attempt(case, estimator)).encode())


def try_in_child(case: Case, estimator: Any) -> dict[str, str]:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(case, estimator, write)
        finally:
            os._exit(0)  # whatever happened: the child must not return to the loop
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"ending": "killed", "says": signal.Signals(os.WTERMSIG(status)).name}
    return json.loads(answer) if answer else {"ending": "killed", "says": "no answer"}


def main() -> None:
    gc.freeze()  # or the first collection in each child copies all objects
    estimator = getattr(fastbp, sys.argv[1])
    endings = {
        case.name: try_in_child(case, estimator)
        for case in CASES.values()
        if not (SANITIZED and case.huge)
    }
    print(json.dumps(endings))


if __name__ == "__main__":
    main()
