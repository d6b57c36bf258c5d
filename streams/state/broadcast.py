"""
Broadcast tables: who may be named, which campaigns are paused, which templates are approved.

Small topics of one partition that every gate reads whole from the beginning at each start and
follows under the same barrier as its own state. Kept in memory, never persisted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.codec.codec import Codecs
from streams.errors import Undecodable
from streams.policy.templates import CompiledTemplate, compile_template
from streams.records.counted import uploader
from streams.records.events import Campaign, CampaignState, NameConsent
from streams.records.templates import Template, template_key
from streams.topology import CAMPAIGNS, NAMES_CONSENTS, TEMPLATES, Topic


class NameConsentTable:
    """Who allows to be named in messages to others. No record means no."""

    def __init__(self) -> None:
        self._by_subject: dict[str, NameConsent] = {}

    def apply(self, key: str, record: NameConsent | None) -> None:
        """
        Take one record over; a tombstone (None) takes the consent back.

        The key counts. A record whose subject is another number than its key takes back what the
        key had allowed and allows nothing itself.
        """
        if record is None or record.subject != key:
            self._by_subject.pop(key, None)
        else:
            self._by_subject[key] = record

    def allows(self, number: str, purpose: str, now_ms: int) -> bool:
        """Whether this person may be named in a message of this purpose now."""
        record = self._by_subject.get(number)
        return (
            record is not None
            and record.granted
            and record.purpose in (None, purpose)
            and (record.until is None or now_ms < record.until)
        )


class CampaignTable:
    """
    Which campaigns are paused.

    A pause lasts until a record names it in ``resumes``; a service that writes ACTIVE again does
    not end it. Since the topic is compacted, a pause is written under a key of its own
    (``<campaign id>#<pause id>``) and its end under the same key: then no later record of the
    campaign can make it vanish for a gate that starts afterwards. Under the bare campaign id a
    PAUSED is honoured as well, as long as it is the campaign's last record there.

    An uploader is paused in the same way, under what :func:`streams.records.counted.uploader` makes
    of the number's keyed hash.
    """

    def __init__(self, subject_id: Callable[[str], bytes]) -> None:
        """``subject_id`` gives a number's keyed hash, as the worker does that pauses uploaders."""
        self._subject_id = subject_id
        self._pauses: dict[str, set[str]] = {}
        self._ended: set[str] = set()

    def apply(self, record: Campaign) -> None:
        """Take one record over. A tombstone ends nothing, so there is nothing to apply."""
        match record.state:
            case CampaignState.PAUSED:
                pause_id = record.pause_id or ""
                self._pauses.setdefault(record.campaign_id, set()).add(pause_id)
            case CampaignState.ACTIVE:
                if record.resumes is None:
                    return
                pauses = self._pauses.get(record.campaign_id)
                if pauses is None:
                    return
                pauses.discard(record.resumes)
                if not pauses:
                    del self._pauses[record.campaign_id]
                    self._ended.add(record.campaign_id)

    def pause_unreadable(self, key: str) -> None:
        """A record of this campaign could not be read: it may have been a pause, so it is one."""
        self._pauses.setdefault(key.partition("#")[0], set()).add(f"unreadable {key}")

    def take_ended(self) -> set[str]:
        """Give, once, what was resumed since this was last asked for. It may be paused anew."""
        ended, self._ended = self._ended, set()
        return ended

    def paused(self, campaign_id: str) -> bool:
        """Whether a pause of this campaign stands."""
        return campaign_id in self._pauses

    def user_paused(self, number: str) -> bool:
        """Whether a pause of this user, by their E.164 number, stands."""
        return bool(self._pauses) and uploader(self._subject_id(number)) in self._pauses

    def standing(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of the pauses that stand, by what is paused, sorted."""
        return {about: tuple(sorted(pauses)) for about, pauses in sorted(self._pauses.items())}


class TemplateTable:
    """
    Which templates are approved, taken apart. No record means no such template.

    Each version of a template has a key of its own; every one that is there may be used.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, CompiledTemplate] = {}
        self._versions: dict[str, tuple[CompiledTemplate, ...]] = {}

    def apply(self, key: str, record: Template | None) -> None:
        """
        Take one record over; a tombstone (None) takes the version back.

        The key counts: a record under another key than its own, one that is not approved, and one
        that contradicts itself take the key's version back and give none.
        """
        template_id = key.rpartition("#")[0]
        compiled = None
        if record is not None and template_key(record.template_id, record.version) == key:
            compiled = compile_template(record)
        if compiled is None:
            self._by_key.pop(key, None)
        else:
            self._by_key[key] = compiled
        self._versions[template_id] = tuple(
            version
            for each, version in self._by_key.items()
            if each.rpartition("#")[0] == template_id
        )

    def versions(self, template_id: str) -> Sequence[CompiledTemplate]:
        """Give every version of the template that can be used, whenever it was approved."""
        return self._versions.get(template_id, ())


class BroadcastTables:
    """The three tables, and what a record that nobody can read comes to in each of them."""

    def __init__(self, codecs: Codecs, subject_id: Callable[[str], bytes]) -> None:
        """``subject_id`` gives a number's keyed hash."""
        self.names = NameConsentTable()
        self.campaigns = CampaignTable(subject_id)
        self.templates = TemplateTable()
        self._codecs = codecs
        self._apply: dict[Topic, Callable[[str, bytes | None], None]] = {
            NAMES_CONSENTS: self._name,
            CAMPAIGNS: self._campaign,
            TEMPLATES: self._template,
        }

    def apply(self, topic: Topic, key: bytes | None, value: bytes | None) -> Undecodable | None:
        """
        Take one record of a broadcast topic over; give why it could not be read, if it could not.

        What cannot be read allows nobody to be named, pauses its campaign, and approves no
        template. Raises :class:`streams.errors.RegistryUnavailable`; then nothing was applied.
        """
        own_key = (key or b"").decode(errors="replace")
        try:
            self._apply[topic](own_key, value)
        except Undecodable as error:
            if topic == CAMPAIGNS:
                self.campaigns.pause_unreadable(own_key)
            else:
                self._apply[topic](own_key, None)
            return error
        return None

    def _name(self, key: str, value: bytes | None) -> None:
        record = None if value is None else self._codecs.name_consents.decode(value)
        self.names.apply(key, record)

    def _campaign(self, key: str, value: bytes | None) -> None:
        if value is not None:
            self.campaigns.apply(self._codecs.campaigns.decode(value))

    def _template(self, key: str, value: bytes | None) -> None:
        record = None if value is None else self._codecs.templates.decode(value)
        self.templates.apply(key, record)
