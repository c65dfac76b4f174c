"""`cloakroom` with one failpoint armed for as long as a file is there: `faulty_node.py FILE POINT ERRNO serve`."""

import sys
from pathlib import Path

import armed

from scp import faults
from scp.cli import main

if __name__ == "__main__":
    flag, point, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    action = armed.fail(number)

    def hear(event, args):
        if event == faults.EVENT and args == (point,) and flag.exists():
            action()

    sys.addaudithook(hear)
    sys.argv[1:4] = []
    main()
