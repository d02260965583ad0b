"""How a Python check program of ci/ speaks: `ok - fact` or `not ok - fact`, as checks.sh does for shell programs.

A check is a function; its docstring is the fact. `main` runs them in the order in which they were written.
"""

import hashlib
import random
import sys
import time
import traceback

_checks = []


def check(function):
    """Marks a function as a check."""
    _checks.append(function)
    return function


def each(*cases):
    """Marks a function as one check per case; the docstring is a format of the cases' values."""

    def mark(function):
        for case in cases:
            def one(broker, case=case):
                function(broker, *case)
            one.__doc__ = function.__doc__.format(*case)
            one.__module__ = function.__module__
            _checks.append(one)
        return function

    return mark


def main(banner):
    """Runs every check of the program against the broker named on the command line; ends the process.

    Checks of another program that was imported for its helpers do not run.
    """
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit(f"usage: {sys.argv[0]} HOST:PORT")
    print(f"# {banner}", flush=True)
    failed = 0
    own = [function for function in _checks if function.__module__ == "__main__"]
    for function in own:
        fact = " ".join(function.__doc__.split()).rstrip(".")
        try:
            function(sys.argv[1])
        except BaseException as error:  # a check that dies of whatever has failed
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            print(f"not ok - {fact} ({type(error).__name__})")
            print("    " + traceback.format_exc()[-3000:].rstrip().replace("\n", "\n    "), flush=True)
        else:
            print(f"ok - {fact}", flush=True)
    if not own:
        failed += 1
        print("not ok - checked nothing")
    sys.exit(1 if failed else 0)


def same(what, expected, actual):
    if expected != actual:
        raise AssertionError(f"{what}: expected {str(expected)[:300]!r}, got {str(actual)[:300]!r}")


def same_records(what, expected, actual):
    """Two lists of byte strings: equal in number, order and every byte."""
    same(f"{what}: number of records", len(expected), len(actual))
    for index, (left, right) in enumerate(zip(expected, actual)):
        if left != right:
            raise AssertionError(f"{what}: record {index}: expected {left[:80]!r}, got {right[:80]!r}")
    same(f"{what}: sha256", digest(expected), digest(actual))


def digest(records):
    total = hashlib.sha256()
    for record in records:
        total.update(len(record).to_bytes(8, "big"))
        total.update(record)
    return total.hexdigest()


def await_that(what, seconds, condition):
    """Returns the first true value of `condition`; for what can only be observed from outside."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.05)


def fresh_topic(name):
    """A topic name that no earlier run on the same broker used."""
    return f"{name}-{time.time_ns() % 10**11}-{random.randrange(10**5)}"


def values(count, size=100, seed=1):
    """Records that differ, partly compressible, of different lengths; the same for the same arguments."""
    source = random.Random(seed)
    return [
        b"%06d " % index + source.randbytes(size // 4) + b"highwater " * source.randrange(1, size // 5)
        for index in range(count)
    ]
