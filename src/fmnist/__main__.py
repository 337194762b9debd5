"""The `fmnist` command. Its help imports no vendor package. Without its extra, it says what to install."""

import sys

from fmnist.apps.environment import drop_odd_widths, spare_warnings
from fmnist.apps.streams import guarded_streams


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    with guarded_streams():
        drop_odd_widths()
        spare_warnings()
        try:
            from fmnist.apps.cli import app
        except ModuleNotFoundError as error:
            sys.exit(f"the fmnist command needs {error.name}: pip install 'fmnist[all]'")
        except KeyboardInterrupt:
            sys.exit(130)
        app(args=arguments, prog_name="fmnist")


if __name__ == "__main__":
    main()
