"""Reading a `config.json` with care: every value is a claim of somebody else, of the right type and size or refused."""

from collections.abc import Mapping

LARGEST = 1 << 31
MOST_LAYERS = 4096


class Fields:
    """The keys of one configuration, before the defaults of its class; a key that is null counts as not there."""

    def __init__(self, own: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> None:
        self.own = own
        self.defaults = defaults or {}

    def value(self, *names: str) -> object:
        """The first of these keys that is there. An explicit null is the maker's say, and beats the default of the class."""
        for name in names:
            if self.own.get(name) is not None:
                return self.own[name]
        if any(name in self.own for name in names):
            return None
        return next((self.defaults[name] for name in names if name in self.defaults), None)

    def count(self, *names: str) -> int:
        """A number from 0 up; 0 where none of the keys is there."""
        value = self.value(*names)
        if value is None:
            return 0
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST:
            raise ValueError(f"`{names[0]}` is {shown(value)}, which is no count")
        return value

    def needed(self, *names: str) -> int:
        """A number above 0 without which nothing can be planned."""
        value = self.count(*names)
        if value == 0:
            raise ValueError(f"it has no `{names[0]}`")
        return value

    def flag(self, *names: str) -> bool:
        value = self.value(*names)
        if value is not None and not isinstance(value, bool | int):
            raise ValueError(f"`{names[0]}` is {shown(value)}, neither true nor false")
        return bool(value)

    def text(self, *names: str) -> str:
        value = self.value(*names)
        return value if isinstance(value, str) else ""

    def items(self, *names: str) -> tuple[object, ...] | None:
        """A list with one item for each layer, say; None where there is none."""
        value = self.value(*names)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or len(value) > MOST_LAYERS:
            raise ValueError(f"`{names[0]}` is {shown(value)}, which is no list of layers")
        return tuple(value)

    def table(self, *names: str) -> "Fields":
        """Keys within a key; empty where there are none."""
        value = self.value(*names)
        return Fields(value if isinstance(value, Mapping) else {})

    def has(self, *names: str) -> bool:
        return self.value(*names) is not None


def printable(text: str, most: int = 300) -> str:
    """A stranger's words without what moves a cursor or colours a terminal, and not too many of them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])


def shown(value: object) -> str:
    """A value of a stranger in a message: short, and with nothing in it that moves a cursor."""
    word = repr(value)
    return word if len(word) <= 60 else f"{word[:57]}…"
