"""The `fmnist` command. Its help costs no vendor's import, and without its extra it says what to install."""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f"the fmnist command needs {error.name}: pip install 'fmnist[train]'")
    from fmnist.apps.cli import app

    app(args=arguments, prog_name="fmnist")


if __name__ == "__main__":
    main()
