"""The hashes that people put beside weight files: `FILE.sha256` and `SHA256SUMS`, as sha256sum writes them."""


def claims(text: str, name: str) -> str | None:
    """The sha256 that a list names for a file; a list of one bare hash speaks of the file it lies beside."""
    for line in text.splitlines():
        word, _, file = line.strip().partition(" ")
        bare = word.lower()
        if len(bare) != 64 or not all(letter in "0123456789abcdef" for letter in bare):
            continue
        named = file.strip().removeprefix("*").rsplit("/", 1)[-1]
        if named in (name, ""):
            return bare
    return None
