"""
The rules that come with ``confirm`` in ``policy.yaml``.

A policy that asks for confirmations cannot forget them: without the first one, what waits would be
judged by whatever rules say of a consent that is not GRANTED. They stand where ``confirm`` does.
"""

from __future__ import annotations

from dataclasses import replace

from streams.policy.confirming import Confirming
from streams.policy.documents import Document
from streams.policy.manifest import MANIFEST
from streams.policy.mistakes import Mistakes
from streams.policy.rules import Rule, RuleReader

_PENDING = """\
rules:
  - id: consent-pending
    text: The recipient's consent has to be confirmed by the recipient, and was not yet.
    when: purpose in [{purposes}] && consent == Consent.PENDING
    then: drop
    reason: CONSENT_PENDING
    cites:
      - "GDPR (2018-05-25) 7(1): the controller proves who consented"
      - "PIPL (2021-11-01) 69: fault is presumed, the processor must prove otherwise"
"""

_QUESTION = """\
  - id: confirmation-of-nothing
    text: No consent of this person waits for a confirmation, or it was stopped.
    when: purpose == Purpose.CONFIRMATION && asking == Asking.NONE
    then: drop
    reason: NO_CONSENT
    cites: >-
      CASL (2014-07-01) 6(1), CRTC guide: to ask for consent is itself advertising,
      https://crtc.gc.ca/eng/com500/guide.htm
  - id: confirmation-repeated
    text: The person was asked already and reminded, or is to be reminded within a day.
    when: purpose == Purpose.CONFIRMATION && asking == Asking.REPEATED
    then: drop
    reason: DUPLICATE_REQUEST
    cites: >-
      MIIT Order 31 (CN, 2015): the same request is not repeated,
      https://campaignsms.com/?p=15005
  - id: confirmation-with-more
    text: The question is an invitation or advertisement, or speaks of others.
    when: >-
      purpose == Purpose.CONFIRMATION
      && (marks != Marks.NONE || names != Names.NONE || claims != Claims.NONE)
    then: quarantine
    reason: PURPOSE_MISMATCH
    cites: "consent-gate's own rule: an invitation or advertisement under another purpose"
  - id: confirmation-asked
    text: The recipient's consent waits, and this asks whether it is theirs, or reminds once.
    when: purpose == Purpose.CONFIRMATION && asking in [Asking.FIRST, Asking.REMINDER]
    then: allow
    basis: question-about-consent
    cites: "GDPR (2018-05-25) 7(1): the controller proves who consented"
"""


def confirm_rules(
    confirming: Confirming, purposes: frozenset[str], reader: RuleReader, line: int
) -> list[Rule]:
    """
    Give the rules, said to stand on ``line`` of the manifest. ``reader`` has read no others yet.

    Those about the question come along where the policy declares its purpose, ``confirmation``.
    """
    named = ", ".join(f"Purpose.{purpose.upper()}" for purpose in sorted(confirming.purposes))
    text = _PENDING.format(purposes=named)
    if "confirmation" in purposes:
        text += _QUESTION
    mistakes = Mistakes("")
    rules = reader.read(Document(f"confirm in {MANIFEST}", text, mistakes))
    mistakes.raise_if_any()
    return [replace(rule, file=MANIFEST, line=line) for rule in rules]
