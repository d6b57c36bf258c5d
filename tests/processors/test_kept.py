"""What is kept is found by key and by prefix, whatever was set and taken away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.processors.kept import Kept

KEYS = st.text("ab/", max_size=4)


@given(
    values=st.dictionaries(KEYS, st.binary(max_size=2)),
    changes=st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2))),
    prefix=KEYS,
)
def test_it_is_a_mapping_that_finds_keys_by_prefix(
    values: dict[str, bytes], changes: list[tuple[str, bytes | None]], prefix: str
) -> None:
    kept, plain = Kept(values), dict(values)
    for key, value in changes:
        kept.set(key, value)
        if value is None:
            plain.pop(key, None)
        else:
            plain[key] = value
    assert len(kept) == len(plain)
    assert {key: kept.get(key) for key in plain} == plain
    found = list(kept.beginning_with(prefix))
    assert found == sorted(key for key in plain if key.startswith(prefix))
