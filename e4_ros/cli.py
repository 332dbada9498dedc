"""`e4`: one command for everything that needs no ROS graph, and the starter of the ROS nodes."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `e4` script."""
    try:
        from e4_ros.commands.app import app  # here, so that Ctrl-C during the imports is caught

        app()
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        sys.exit(130)


if __name__ == '__main__':
    main()
