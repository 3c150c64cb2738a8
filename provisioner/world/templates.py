"""Templates that travel with the program: loops only, and a name that is not given is an error."""

from provisioner.world.files import data_path


def fill(name: str, **values: object) -> str:
    """The text of a template with its values in place."""
    from jinja2 import Environment, StrictUndefined

    with open(data_path("templates", name), encoding="utf-8") as stream:
        text = stream.read()
    environment = Environment(  # noqa: S701 - unit files are no HTML; every value is quoted by its target
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(text).render(**values)
