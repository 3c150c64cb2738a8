"""Hashes beside files."""

from hypothesis import given
from hypothesis import strategies as st

from provisioner.weights.sidecars import claims

HASH = "ab" * 32


def test_forms_that_people_write() -> None:
    assert claims(f"{HASH}  model.gguf\n", "model.gguf") == HASH
    assert claims(f"{HASH} *model.gguf\n", "model.gguf") == HASH
    assert claims(f"{HASH}  ./deep/model.gguf\n", "model.gguf") == HASH
    assert claims(HASH.upper(), "model.gguf") == HASH
    assert claims(f"{'0' * 64}  other.gguf\n{HASH}  model.gguf", "model.gguf") == HASH
    assert claims(f"{HASH}  other.gguf", "model.gguf") is None
    assert claims("no hash here", "model.gguf") is None


@given(st.text(), st.text())
def test_any_text(text: str, name: str) -> None:
    found = claims(text, name)
    assert found is None or len(found) == 64
