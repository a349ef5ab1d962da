"""Try every case in a process beside, and print what came of it as JSON.

``python -m bad_inputs.runner MLPClassifier``: a process that imports everything once
and has a forked child try the cases; a crash, a hang or an appetite for memory ends the
child, and another one goes on with the next case.
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


def child(cases: list[Case], estimator: Any, answers: int) -> None:
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for case in cases:
        signal.alarm(SECONDS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = json.dumps(attempt(case, estimator))
        os.write(answers, f"{answer}\n".encode())


def try_in_child(cases: list[Case], estimator: Any) -> list[dict[str, str]]:
    """Return how cases ended, up to and with the first that ended the child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(cases, estimator, write)
        finally:
            os._exit(0)  # whatever happened: the child must not return to the loop
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        endings = [json.loads(line) for line in pipe]
    _, status = os.waitpid(pid, 0)
    if len(endings) < len(cases):
        says = "no answer"
        if os.WIFSIGNALED(status):
            says = signal.Signals(os.WTERMSIG(status)).name
        endings.append({"ending": "killed", "says": says})
    return endings


def main() -> None:
    gc.freeze()  # or the first collection in each child copies all objects
    estimator = getattr(fastbp, sys.argv[1])
    cases = [case for case in CASES.values() if not (SANITIZED and case.huge)]
    endings: list[dict[str, str]] = []
    while len(endings) < len(cases):
        endings += try_in_child(cases[len(endings) :], estimator)
    names = [case.name for case in cases]
    print(json.dumps(dict(zip(names, endings, strict=True))))


if __name__ == "__main__":
    main()
