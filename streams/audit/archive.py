"""The archive of policies: every version that was ever live, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from streams.audit.topic_log import TopicLog
from streams.codec.codec import Codecs
from streams.errors import PolicyInvalid, Undecodable
from streams.policy.policy import Policy, load_policy_files
from streams.topology import POLICIES


class Unsaid(Enum):
    """Why there is nothing to decide by."""

    POLICY_GONE = "its policy version is not in the archive"
    POLICY_UNREADABLE = "this version of consent-gate cannot read its policy"
    OTHER_FACTS = "it records other facts than this version of consent-gate reads"


class Archive:
    """
    The policies of an archive.

    For one thread: a policy remembers its verdicts.
    """

    def __init__(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """``files`` are the archived texts by name, by version."""
        self._files = files
        self._loaded: dict[str, Policy | Unsaid] = {}

    def policy(self, version: str) -> Policy | Unsaid:
        """Give a version, or why it cannot be had."""
        files = self._files.get(version)
        if files is None:
            return Unsaid.POLICY_GONE
        found = self._loaded.get(version)
        if found is None:
            found = self._loaded[version] = _load(version, files)
        return found

    def horizon_ms(self) -> int:
        """How far back it matters to any version what was sent."""
        policies = (self.policy(version) for version in self._files)
        horizons = (each.caps.horizon_ms for each in policies if isinstance(each, Policy))
        return max(horizons, default=0)


def read_archive(log: TopicLog, codecs: Codecs) -> Archive:
    """Read the topic ``policies`` whole: a record of at most a megabyte a version."""
    extent = log.extent(POLICIES, 0)
    files: dict[str, Mapping[str, str]] = {}
    for message in log.read(POLICIES, 0, extent.start, extent.end):
        try:
            archived = codecs.policies.decode(message.value())
        except Undecodable:
            continue
        files[archived.version] = archived.files
    return Archive(files)


def _load(version: str, files: Mapping[str, str]) -> Policy | Unsaid:
    try:
        policy = load_policy_files(files, f"policy {version[:12]}")
    except PolicyInvalid:
        return Unsaid.POLICY_UNREADABLE
    # Files that do not hash to their version are not what was live under it.
    return policy if policy.version == version else Unsaid.POLICY_GONE
