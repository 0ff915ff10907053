"""`python -m agentos` is the `agentos` command."""

from agentos.cli import exit_with_main

if __name__ == "__main__":
    exit_with_main()
