"""What is kept of a recognised request may not depend on what was stepped over (Hypothesis)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.gate.splicing import content_bytes
from streams.policy.facts import content_of, repeats
from streams.records.requests import SmsRequested
from streams.state.broadcast import CampaignTable, NameConsentTable
from streams.testing.records import NOON
from tests.codec.arbitrary import TEXT, records

times = st.integers(0, 2**60)


@settings(deadline=None)
@given(
    request=records(SmsRequested),
    request_id=TEXT,
    recipient=TEXT,
    requested_at=times,
    valid_until=st.none() | times,
    template_params=st.dictionaries(TEXT, TEXT, max_size=2),
    body=TEXT,
)
def test_the_content_that_repeats_depends_on_neither_head_nor_parameters_nor_body(
    request: SmsRequested, **stepped_over: object
) -> None:
    other = replace(request, **stepped_over)
    assert repeats(request) == repeats(other)
    if repeats(request):
        names, campaigns = NameConsentTable(), CampaignTable(str.encode)
        assert content_of(request, names, campaigns, NOON) == content_of(
            other, names, campaigns, NOON
        )
        assert content_bytes(request) == content_bytes(other)
