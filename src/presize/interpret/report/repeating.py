"""The section on how to do it again: settings, seed, command, versions and machine."""

from presize.interpret.report.parts import Section
from presize.interpret.report.source import Source


def repeat_section(source: Source) -> Section:
    """Return what one needs to repeat the run."""
    record = source.record
    model = {name.capitalize(): text for name, text in record.model.items()}
    values = {
        # Without a fit that is known, the command is the one that writes the report.
        "command": source.command or (record.command if record.fits else None),
        "settings": model | {"Seed": "not set" if record.seed is None else str(record.seed)},
        "environment": record.environment,
    }
    return Section(key="repeat", title="Repeat this run", template="repeat.html", values=values)
