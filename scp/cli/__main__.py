"""`python -m scp.cli`: the command without its script."""

from scp.cli import main

main()
