"""`presize info`: what a report of a problem should say about the installation."""


def info() -> None:
    """Show versions, the device, and where presize keeps its files."""
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    for name, value in facts().items():
        table.add_row(name, value)
    Console().print(table)


def facts() -> dict[str, str]:
    """Return name and value of each fact, in the order they are shown."""
    from presize.core.environment import environment
    from presize.core.paths import cache_dir

    return {**environment(), "files kept in": str(cache_dir())}
