"""
The finite vocabulary that rules are written in: every fact and every value it can have.

A fact ``consent`` has the type ``Consent`` and values such as ``Consent.GRANTED``; rules use
exactly these names. ``purpose`` alone has no enum here: its values are the purposes that the
policy declares (``invite`` is ``Purpose.INVITE``).

Reading the facts is on the hot path, a tuple of them is the key of its memo, and ``Enum`` is made
for other places: see :class:`FactValue`.
"""

from __future__ import annotations

from enum import Enum


class FactValue(Enum):
    """
    One value of one fact. Its ``value`` is its name.

    Members are hashed by identity, since ``Enum``'s own hash is Python code.
    """

    __hash__ = object.__hash__


class State(FactValue):
    """Whether every consent event of this number could be read."""

    READABLE = "READABLE"
    UNDECODABLE = "UNDECODABLE"


class Consent(FactValue):
    """What the recipient said to this purpose, from this sender, in this campaign."""

    NONE = "NONE"
    GRANTED = "GRANTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    PENDING = "PENDING"


class Basis(FactValue):
    """On what the consent rests that is in force; NONE where none is."""

    NONE = "NONE"
    EXPRESS = "EXPRESS"
    IMPLIED = "IMPLIED"
    SOFT_OPT_IN = "SOFT_OPT_IN"


class Freedom(FactValue):
    """Whether that consent was given by itself, or bundled with something else."""

    NONE = "NONE"
    FREE = "FREE"
    CONDITIONAL = "CONDITIONAL"


class Withdrawal(FactValue):
    """Whether a withdrawal that names this very purpose stands."""

    NONE = "NONE"
    PURPOSE = "PURPOSE"


class Suppression(FactValue):
    """Whether a withdrawal of everything stands against this message."""

    NONE = "NONE"
    ALL = "ALL"


class Erasure(FactValue):
    """Whether the person had everything erased and has said yes to nothing since."""

    NONE = "NONE"
    ERASED = "ERASED"


class Reassignment(FactValue):
    """Whether the only yes to this message is that of the number's former holder."""

    NONE = "NONE"
    REASSIGNED = "REASSIGNED"


class Member(FactValue):
    """Whether the number's present holder is registered with the platform."""

    NO = "NO"
    YES = "YES"


class Number(FactValue):
    """Where the platform has the number from."""

    UNKNOWN = "UNKNOWN"
    SELF_ENTERED = "SELF_ENTERED"
    CUSTOMER = "CUSTOMER"
    UPLOADED = "UPLOADED"
    PURCHASED = "PURCHASED"
    PUBLIC = "PUBLIC"


class Upload(FactValue):
    """How the address books that the number stands in were obtained: the worst of each."""

    NOT_UPLOADED = "NOT_UPLOADED"
    CLEAN = "CLEAN"
    MANDATORY = "MANDATORY"
    UNDISCLOSED = "UNDISCLOSED"
    BOTH = "BOTH"


class Taint(FactValue):
    """Whether where the number came from speaks against this message."""

    NONE = "NONE"
    STANDING = "STANDING"
    LIFTED = "LIFTED"
    EXEMPT = "EXEMPT"


class Initiator(FactValue):
    """Who really set the message off, by the evidence."""

    PLATFORM = "PLATFORM"
    USER = "USER"
    CONTRADICTORY = "CONTRADICTORY"


class Voice(FactValue):
    """In whose name the message comes."""

    PLATFORM = "PLATFORM"
    USER = "USER"


class Names(FactValue):
    """Whether third persons are named, and whether each of them allows it."""

    NONE = "NONE"
    CONSENTED = "CONSENTED"
    UNCONSENTED = "UNCONSENTED"


class Claims(FactValue):
    """Whether the body says something about a relationship, and whether somebody declared it."""

    NONE = "NONE"
    DECLARED = "DECLARED"
    UNSUPPORTED = "UNSUPPORTED"


class Occasion(FactValue):
    """What the message is due to: nothing, an asking by the recipient, an inbound SMS, an event."""

    NONE = "NONE"
    ASKED = "ASKED"
    INBOUND = "INBOUND"
    PRESENT = "PRESENT"


class Holder(FactValue):
    """
    How long ago the number was known to be the consenting person's: at their consent, or when it
    was last looked up. RECENT is 45 days or less: so long at least a number stays out of use in the
    United States before somebody else gets it
    (https://regulations.justia.com/regulations/fedreg/2019/03/26/2019-05620.html). Without a
    consent in force NONE.
    """

    NONE = "NONE"
    RECENT = "RECENT"
    WITHIN_YEAR = "WITHIN_YEAR"
    OLD = "OLD"


class Answer(FactValue):
    """Which answer it is to the recipient's own message: none, the first one, or one more."""

    NONE = "NONE"
    FIRST = "FIRST"
    TO_STOP = "TO_STOP"
    REPEATED = "REPEATED"


class Asking(FactValue):
    """Whether it asks the recipient to confirm a consent that waits: first, to remind, or again."""

    NONE = "NONE"
    FIRST = "FIRST"
    REMINDER = "REMINDER"
    REPEATED = "REPEATED"


class Referral(FactValue):
    """Whether somebody refers the recipient to us by it, and whether anybody did before."""

    NONE = "NONE"
    FIRST = "FIRST"
    REPEATED = "REPEATED"


class Repetition(FactValue):
    """Whether a request of this id was decided within a day already, and not dropped."""

    FIRST = "FIRST"
    REPEATED = "REPEATED"


class Frequency(FactValue):
    """Whether the person may get one message more now, by the policy's caps."""

    WITHIN = "WITHIN"
    EXCEEDED = "EXCEEDED"


class Marks(FactValue):
    """Whether the message looks like an invitation or advertising, whatever purpose it states."""

    NONE = "NONE"
    INVITATION = "INVITATION"
    ADVERTISING = "ADVERTISING"


class Validity(FactValue):
    """Whether the message is still worth sending."""

    LIVE = "LIVE"
    EXPIRED = "EXPIRED"


class Campaign(FactValue):
    """Whether the message belongs to a campaign; PAUSED is that, or the user who initiated it."""

    NONE = "NONE"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class Jurisdiction(FactValue):
    """Whose law counts for the recipient: the strictest of what is said of where they are."""

    OTHER = "OTHER"
    CN = "CN"
    US = "US"
    EU = "EU"
    CA = "CA"


class QuietHours(FactValue):
    """Whether such messages may come now, wherever the recipient may be."""

    OPEN = "OPEN"
    QUIET = "QUIET"
    UNKNOWN = "UNKNOWN"


class Links(FactValue):
    """The worst of what the text links to; UNREAD where the policy has no register of links."""

    UNREAD = "UNREAD"
    NONE = "NONE"
    OWN = "OWN"
    STORE = "STORE"
    SHORT = "SHORT"
    FOREIGN = "FOREIGN"


class Registration(FactValue):
    """Whether the text links to a page on which one registers."""

    NONE = "NONE"
    LINKED = "LINKED"


class Sender(FactValue):
    """Whether the sender is registered where the recipient is, and the text shows who it is."""

    UNREAD = "UNREAD"
    KNOWN = "KNOWN"
    UNKNOWN = "UNKNOWN"
    DISGUISED = "DISGUISED"


class OptOut(FactValue):
    """Whether the text says how to stop such messages, where the policy wants it to."""

    UNREAD = "UNREAD"
    PRESENT = "PRESENT"
    MISSING = "MISSING"


class Referrer(FactValue):
    """Whether the text names who refers the recipient, and that person knows both."""

    NONE = "NONE"
    NAMED = "NAMED"
    INCOMPLETE = "INCOMPLETE"


class Revocation(FactValue):
    """Whether the person withdrew another purpose since they agreed to this one, if they did."""

    NONE = "NONE"
    ELSEWHERE = "ELSEWHERE"


class TemplateMatch(FactValue):
    """Whether the text is what its template and parameters make; NONE where it names none."""

    NONE = "NONE"
    MATCH = "MATCH"
    MISMATCH = "MISMATCH"
    UNKNOWN = "UNKNOWN"


VOCABULARY_VERSION = 4
"""Counts up when facts or values are added, so that a policy can say what it needs."""

PURPOSE_TYPE = "Purpose"
"""The type of the fact ``purpose``, whose values each policy declares."""
