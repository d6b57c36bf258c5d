"""Contents: what is made of a request's content once for all recipients of a campaign."""

from __future__ import annotations

from typing import NamedTuple

from streams.codec.codec import RecordCodec
from streams.codec.recogniser import Recogniser
from streams.gate.splicing import ContentBytes, content_bytes
from streams.kafka.bounds import refuse_long
from streams.policy.caps import kind_of
from streams.policy.facts import Campaigns, Content, NameConsents, content_of, repeats
from streams.records.requests import SmsRequested
from streams.state.sends import sent_tail, waiting_tail


class KeptContent(NamedTuple):
    """All that deciding needs of a content. ``content`` must not depend on what is recognised."""

    content: Content
    encoded: ContentBytes
    kind: bytes
    """What caps look at; see :mod:`streams.policy.caps`."""
    sent_tail: bytes
    waiting_tail: bytes
    """The same, as the send memory has it of what was allowed, and of what is held."""


class Contents:
    """
    Reads requests, and keeps what it made of their contents. For the loop's thread.

    ``read`` is :meth:`streams.codec.recogniser.Recogniser.read`; ``now_ms`` is the time of the
    batch, to be set before it.
    """

    def __init__(
        self, codec: RecordCodec[SmsRequested], names: NameConsents, campaigns: Campaigns
    ) -> None:
        self._names = names
        self._campaigns = campaigns
        self.now_ms = 0
        self.read = Recogniser(codec, self._keep).read

    def _keep(self, request: SmsRequested) -> tuple[KeptContent, bool]:
        refuse_long(request.purpose, request.campaign_id, request.sender_id, request.template_id)
        kind = kind_of(request.purpose, request.sender_id, request.campaign_id, request.template_id)
        kept = KeptContent(
            content_of(request, self._names, self._campaigns, self.now_ms),
            content_bytes(request),
            kind,
            sent_tail(kind),
            waiting_tail(kind),
        )
        return kept, repeats(request)
