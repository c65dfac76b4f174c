"""The log as the node writes it: many processes and threads on one stderr."""

import json
import subprocess
import sys
import textwrap
from collections import Counter

NEEDLE = "QzSMITH^JOHN"


def run(program, *arguments):
    """What a process of its own writes to stderr, through a pipe."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_lines_of_processes_and_threads_stay_whole():
    ended = run(
        """
        import os, threading
        from scp import log
        log.configure("json", "info")
        logger = log.get("worker")
        def speak(slot):
            for count in range(100):
                logger.info("spoke", slot=slot, count=count, why="x" * 150)
        children = []
        for process in range(3):
            child = os.fork()
            if child == 0:
                threads = [threading.Thread(target=speak, args=(f"{process}-{number}",)) for number in range(3)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        """
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert Counter(line["slot"] for line in lines) == {f"{p}-{t}": 100 for p in range(3) for t in range(3)}
    for slot in {line["slot"] for line in lines}:
        assert [line["count"] for line in lines if line["slot"] == slot] == list(range(100))


def test_a_process_that_dies_of_an_error_says_only_which_and_where():
    ended = run(
        f"""
        from scp import log
        log.configure("json", "info")
        raise ValueError("{NEEDLE}")
        """
    )
    assert ended.returncode == 1
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (line["event"], line["error"], line["where"]) == ("uncaught", "ValueError", "<string>:4")


def test_a_thread_that_dies_says_only_which_and_where():
    ended = run(
        f"""
        import threading
        from scp import log
        log.configure("json", "info")
        thread = threading.Thread(target=int, args=("{NEEDLE}",), name="{NEEDLE}")
        thread.start()
        thread.join()
        """
    )
    assert ended.returncode == 0
    assert NEEDLE not in ended.stderr + ended.stdout
    assert json.loads(ended.stderr)["error"] == "ValueError"


def test_what_pydicom_warns_of_has_no_value():
    """The library's warnings and log lines print the value they do not like."""
    ended = run(
        f"""
        import sys
        from io import BytesIO
        import pydicom
        from scp import log
        log.configure("json", "info")
        dataset = pydicom.Dataset()
        dataset.StudyInstanceUID = "1.2.{NEEDLE}"
        dataset.PatientBirthDate = "{NEEDLE}"
        dataset.PatientAge = "{NEEDLE}"
        """
    )
    assert NEEDLE not in ended.stderr + ended.stdout
    events = {json.loads(line)["event"] for line in ended.stderr.splitlines()}
    assert events
    assert events <= {"library_warning", "library_message"}


def test_a_broken_pipe_of_the_reader_kills_no_worker():
    """Whoever reads the log may go away; the images still come in."""
    ended = run(
        """
        import os, sys
        from scp import log
        reading, writing = os.pipe()
        log.configure("json", "info", os.fdopen(writing, "w"))
        os.close(reading)
        log.get("worker").info("spoke")
        print("still here", flush=True)
        os._exit(0)
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "still here\n", "")


def test_a_full_disk_under_the_log_kills_no_worker():
    ended = run(
        f"""
        import os
        from scp import log
        with open("/dev/full", "w") as full:
            log.configure("json", "info", full)
            for _ in range(3000):
                log.get("worker").info("spoke", why="x" * 150)
            print("still here", flush=True)
            log.get("worker").error("broke", exc_info=ValueError("{NEEDLE}"))
            os._exit(0)
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "still here\n", "")


def test_nothing_at_all_is_written_below_the_level():
    ended = run(
        """
        import logging
        from scp import log
        log.configure("json", "error")
        log.get("worker").warning("spoke")
        logging.getLogger("pynetdicom").warning("text")
        """
    )
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "")
