# ruff: noqa: E501 - a row of these tables is a line
"""
Mistakes as people make them, in every file that a policy can have.

Each row changes one piece of a sound file: what is replaced, by what, and words of the remedy. The
sign ``‸`` in what is written stands where the mistake must be said to be.
"""

from __future__ import annotations

from typing import NamedTuple

SIGN = "‸"

POLICY = """\
name: small
edition: "1"
vocabulary: 4
purposes:
  invite: An invitation.
  marketing: Advertising.
  otp: Passwords.
registers: [registers.yaml]
rules: [rules.yaml]
caps:
  - {purposes: [marketing], per: [campaign], most: 3, window: 1d}
  - {purposes: [invite], most: 2, window: 7d}
confirm:
  purposes: [invite]
  within_days: 14
  sources: [BULK_IMPORT]
  since: 2027-01-31
lapse: {IMPLIED: 730d}
"""

BARE = """\
name: small
edition: "1"
purposes:
  invite: An invitation.
  marketing: Advertising.
  otp: Passwords.
rules: [rules.yaml]
"""

LISTING = BARE + "registers: [registers.yaml]\n"

FEW_REGISTERS = "links:\n  own: [shop.example]\n"

RULES = """\
rules:
  - id: stopped
    text: The person said stop.
    when: suppression == Suppression.ALL
    then: drop
    reason: SUPPRESSED
    cites: Case
    from: 2027-01-01
    until: 2028-01-01
  - id: agreed
    text: The person agreed.
    when: purpose == Purpose.MARKETING && consent == Consent.GRANTED
    then: allow
    basis: consent
    cites: [GDPR 6, "ePrivacy 13"]
"""

REGISTERS = """\
links:
  own: [shop.example]
  registration: [shop.example/join]
  store: [apps.apple.com]
  short: [bit.ly]
senders:
  - id: shop
    jurisdictions: [CN, US]
    shows: [Shop]
opt_out:
  purposes: [marketing]
  texts:
    any: [reply stop]
    CN: [stop R]
marks:
  under: [otp]
  invitation: [join me]
  advertising: [sale]
hours:
  - {region: any, purposes: [marketing], from: "08:00", to: "21:00", cites: Rule}
  - region: US-TX
    purposes: [marketing]
    days: [mon, sat]
    from: "09:00"
    to: "20:00"
    since: 2025-09-01
    until: 2029-01-01
    cites: Rule
"""

WHOLE = """\
name: everywhere
edition: "1"
purposes:
  marketing: Advertising.
packs:
  CN: own
  US: own
  EU: own
  CA: own
  OTHER: own
"""

PACK = """\
name: own
edition: "1"
purposes:
  marketing: Advertising.
rules: [rules.yaml]
caps:
  - {purposes: [marketing], most: 3, window: 1d}
"""

PACK_RULES = """\
rules:
  - id: agreed
    text: The person agreed.
    when: purpose == Purpose.MARKETING && consent == Consent.GRANTED
    then: allow
    basis: consent
    cites: Case
"""

TESTS = """\
id: stop-is-stop
at: 2026-05-01T10:00:00Z
recipient: "+12125550101"
history:
  - consent_event: {kind: GRANTED, purpose: marketing, basis: EXPRESS, source: OPERATOR}
  - campaign: {campaign_id: spring, state: PAUSED}
  - contact_entry: {mandatory: true, uploaded_at: 2026-04-01}
  - name_consent: {subject: "+12125550103", granted: true}
  - template: {template_id: t, text: Hello, variables: [{name: a, type: CODE}]}
  - decision: {verdict: ALLOWED}
request:
  purpose: marketing
  body: Come and see.
  valid_until: 2026-05-02T10:00:00Z
  initiator: {evidence: {text_author: USER, text_shown: true}}
  named_persons: [{name: L.}]
  claims: [{kind: friend, evidence: NONE}]
expect:
  verdict: DROPPED
  reasons: [SUPPRESSED]
  releasable: false
  hold_until: 2026-05-02T08:00:00Z
  facts: {consent: WITHDRAWN, purpose: marketing}
---
id: the-other
at: 2026-05-01T10:00:00Z
recipient: "+12125550101"
request: {purpose: otp}
"""


class Row(NamedTuple):
    """One mistake: ``old`` gives way to ``new``; ``remedy`` must be in what is said."""

    old: str
    new: str
    remedy: str


def rows(*made: tuple[str, str, str]) -> list[Row]:
    return [Row(*each) for each in made]


IN_POLICY = rows(
    ("name: small\n", "‸", "name: ..."),
    ("name: small", "‸nam: small", "did you mean name?"),
    ("name: small", "name: ‸[small]", "write text here"),
    ("name: small", "name:‸", "write text here"),
    ("name: small", "name: ‸''", "write it out"),
    ("name: small", "name: ‸1", "in quotes if need be"),
    ("name: small", "name: ‸true", "in quotes if need be"),
    ("name: small", "name: small\n‸name: small", "keep one of them"),
    ("name: small", "name: ‸!!str small", "take it out"),
    ("name: small", "name: ‸&a small", "write it out in full"),
    ('edition: "1"', "edition: ‸1", "in quotes if need be"),
    ('edition: "1"', "edition: ‸2027-01-01", "in quotes if need be"),
    ('edition: "1"', "edition: ‸{a: b}", "write text here"),
    ('edition: "1"', "‸editions: '1'", "did you mean edition?"),
    ("vocabulary: 4", "vocabulary: ‸99", "take a newer consent-gate"),
    ("vocabulary: 4", "vocabulary: ‸0", "take a newer consent-gate"),
    ("vocabulary: 4", "vocabulary: ‸-1", "take a newer consent-gate"),
    ("vocabulary: 4", "vocabulary: ‸four", "write a whole number"),
    ("vocabulary: 4", "vocabulary: ‸4.5", "write a whole number"),
    ("vocabulary: 4", "vocabulary: ‸[4]", "write a whole number"),
    ("vocabulary: 4", "‸vocabluary: 4", "did you mean vocabulary?"),
    ("  invite: An invitation.", "  Invite: ‸An invitation.", "write lower-case letters"),
    ("  invite: An invitation.", "  in-vite: ‸An invitation.", "underscores"),
    ("  invite: An invitation.", "  1invite: ‸An invitation.", "write lower-case letters"),
    ("  invite: An invitation.", f"  {'i' * 60}: ‸An invitation.", "write lower-case letters"),
    ("  invite: An invitation.", "  invite:‸", "write text here"),
    ("  invite: An invitation.", "  invite: ‸[a]", "write text here"),
    ("  otp: Passwords.", "  otp: Passwords.\n  ‸otp: Again.", "keep one of them"),
    ("  otp: Passwords.", "  ‸12: Passwords.", "in quotes if need be"),
    ("  otp: Passwords.", "  ‸[otp]: Passwords.", "write text here"),
    ("registers: [registers.yaml]", "registers: [‸register.yaml]", "did you mean registers.yaml?"),
    ("registers: [registers.yaml]", "registers: [registers.yaml, ‸tests.yaml]", "take it off the list"),
    ("registers: [registers.yaml]", "registers: [registers.yaml, ‸registers.yaml]", "keep one of them"),
    ("registers: [registers.yaml]", "registers: [registers.yaml, ‸/etc/passwd]", "name a file of this folder"),
    ("registers: [registers.yaml]", "registers: ‸registers.yaml", "write it as a list"),
    ("registers: [registers.yaml]", "registers: ‸[]", "add an entry"),
    ("registers: [registers.yaml]", "registers: ‸{a: b}", "write it as a list"),
    ("registers: [registers.yaml]", "‸register: [registers.yaml]", "did you mean registers?"),
    ("rules: [rules.yaml]", "rules: [‸rule.yaml]", "did you mean rules.yaml?"),
    ("rules: [rules.yaml]", "rules: [‸rules.yml]", "name a file of this folder"),
    ("rules: [rules.yaml]", "rules: [‸Rules.yaml]", "name a file of this folder"),
    ("rules: [rules.yaml]", "rules: [rules.yaml, ‸registers.yaml]", "keep one of them"),
    ("rules: [rules.yaml]", "rules: [rules.yaml, ‸../us/person.yaml]", "name a file of this folder"),
    ("rules: [rules.yaml]", "rules: [rules.yaml, ‸12]", "write text here"),
    ("rules: [rules.yaml]", "rules: ‸all", "write it as a list"),
    ("rules: [rules.yaml]", "rules:‸", "write it as a list"),
)  # fmt: skip

CAP = "{purposes: [marketing], per: [campaign], most: 3, window: 1d}"
IN_CAPS = rows(
    (CAP, "‸{per: [campaign], most: 3, window: 1d}", "purposes: ..."),
    (CAP, "‸{purposes: [marketing], window: 1d}", "most: ..."),
    (CAP, "‸{purposes: [marketing], most: 3}", "window: ..."),
    (CAP, "‸marketing", "write it as `key: value` lines"),
    (CAP, "‸[marketing, 3, 1d]", "write it as `key: value` lines"),
    ("purposes: [marketing], per", "purposes: [‸marketting], per", "did you mean marketing?"),
    ("purposes: [marketing], per", "purposes: ‸[], per", "add an entry"),
    ("purposes: [marketing], per", "purposes: [‸3], per", "write text here"),
    ("purposes: [marketing], per", "purposes: ‸{a: b}, per", "write text here"),
    ("per: [campaign]", "per: [‸campain]", "did you mean campaign?"),
    ("per: [campaign]", "per: [‸person]", "use one of: campaign, purpose, sender, template"),
    ("per: [campaign]", "per: ‸[]", "add an entry"),
    ("per: [campaign]", "‸pre: [campaign]", "did you mean per?"),
    ("most: 3", "most: ‸0", "write a number from 1 to 100"),
    ("most: 3", "most: ‸101", "write a number from 1 to 100"),
    ("most: 3", "most: ‸-3", "write a number from 1 to 100"),
    ("most: 3", "most: ‸three", "write a whole number"),
    ("most: 3", "most: ‸3.5", "write a whole number"),
    ("most: 3", "most: ‸[3]", "write a whole number"),
    ("most: 3", "most: ‸99999999999999999999", "write a whole number"),
    ("most: 3", "most: 3, ‸most: 4", "keep one of them"),
    ("most: 3", "‸max: 3", "use one of: most, per, purposes, window"),
    ("window: 1d", "window: ‸1", "write text here"),
    ("window: 1d", "window: ‸1w", "write 30m, 24h or 7d"),
    ("window: 1d", "window: ‸0d", "write 30m, 24h or 7d"),
    ("window: 1d", "window: ‸1 day", "write 30m, 24h or 7d"),
    ("window: 1d", "window: ‸1.5h", "write 30m, 24h or 7d"),
    ("window: 1d", "window: ‸-1d", "write 30m, 24h or 7d"),
    ("window: 1d", "window: ‸32d", "write at most 31d"),
    ("window: 1d", "window: ‸745h", "write at most 31d"),
    ("window: 1d", "window: ‸999999d", "write 30m, 24h or 7d"),
    ("window: 1d", "windw: 1d", "did you mean window?"),
    ("most: 2, window: 7d}", "most: 2, window: 7d}\n  - ‸{purposes: [invite], most: 5, window: 7d}", "keep the stricter"),
    ("most: 2, window: 7d}", "most: 2, window: 7d}\n  - ‸{purposes: [invite], most: 2, window: 168h}", "keep the stricter"),
)  # fmt: skip

IN_LAPSE = rows(
    ("lapse: {IMPLIED", "lapse: {‸EXPRESS", "use one of: IMPLIED, SOFT_OPT_IN"),
    ("IMPLIED: 730d", "IMPLIED: ‸2y", "write 730d"),
    ("IMPLIED: 730d", "IMPLIED: ‸0d", "write 730d"),
    ("IMPLIED: 730d", "IMPLIED: ‸-1d", "write 730d"),
    ("lapse: {IMPLIED: 730d}", "lapse: ‸730d", "key: value"),
)  # fmt: skip

IN_CONFIRM = rows(
    ("confirm:\n  purposes: [invite]\n  within_days: 14", "confirm:\n  ‸within_days: 14", "purposes: ..."),
    ("  purposes: [invite]\n  within_days: 14", "  ‸purposes: [invite]", "within_days: ..."),
    ("  purposes: [invite]\n", "  purposes: [‸invit]\n", "did you mean invite?"),
    ("  purposes: [invite]\n", "  purposes: ‸[]\n", "add an entry"),
    ("  purposes: [invite]\n", "  purposes: [‸7]\n", "write text here"),
    ("within_days: 14", "within_days: ‸0", "write 1 to 30"),
    ("within_days: 14", "within_days: ‸31", "write 1 to 30"),
    ("within_days: 14", "within_days: ‸-1", "write 1 to 30"),
    ("within_days: 14", "within_days: ‸14d", "write a whole number"),
    ("within_days: 14", "within_days: ‸two weeks", "write a whole number"),
    ("within_days: 14", "within_days: 14\n  ‸within_days: 7", "keep one of them"),
    ("within_days: 14", "within_days: 14\n  ‸within_hours: 14", "within_days"),
    ("sources: [BULK_IMPORT]", "sources: [‸DOUBLE_OPT_IN]", "name some of"),
    ("sources: [BULK_IMPORT]", "sources: [‸INBOUND_SMS]", "name some of"),
    ("sources: [BULK_IMPORT]", "sources: [‸BULK_IMPROT]", "BULK_IMPORT"),
    ("sources: [BULK_IMPORT]", "sources: [‸bulk_import]", "BULK_IMPORT"),
    ("sources: [BULK_IMPORT]", "sources: ‸[]", "add an entry"),
    ("since: 2027-01-31", "since: ‸2027-01-32", "2027-01-31"),
    ("since: 2027-01-31", "since: ‸2027-02-29", "2027-01-31"),
    ("since: 2027-01-31", "since: ‸yesterday", "2027-01-31"),
    ("since: 2027-01-31", "since: ‸31/01/2027", "2027-01-31"),
    ("since: 2027-01-31", "since: ‸[2027-01-31]", "2027-01-31"),
    ("since: 2027-01-31", "‸sinse: 2027-01-31", "did you mean since?"),
)  # fmt: skip

WHEN = "suppression == Suppression.ALL"
AGREED = "purpose == Purpose.MARKETING && consent == Consent.GRANTED"
VERSIONS = "let `until` of the one be `from` of the other"
STOPPED_TOO = f"""\
  - id: too
    text: The person said stop.
    when: ( {WHEN} )  # as it was
    then: drop
    reason: SUPPRESSED
    cites: Case
"""
AGREED_TOO = f"""\
  - id: agreed-anew
    text: The person agreed.
    when: >-
      {AGREED.replace(" && ", chr(10) + "      && ")}
    then: allow
    basis: consent-anew
    cites: Case
"""
IN_RULES = rows(
    (WHEN, "‸supression == Suppression.ALL", "did you mean suppression?"),
    (WHEN, "suppression == ‸Suppression.All", "did you mean Suppression.ALL?"),
    (WHEN, "suppression == ‸Supression.ALL", "Suppression.ALL?"),
    (WHEN, "suppression == ‸SUPPRESSION.ALL", "Suppression.ALL?"),
    (WHEN, "suppression == ‸ALL", "use one of"),
    (WHEN, "suppression == ‸'ALL'", "compare a fact with a declared value"),
    (WHEN, "suppression == ‸1", "compare a fact with a declared value"),
    (WHEN, "suppression ‸= Suppression.ALL", "write == to compare"),
    (WHEN, "suppression ‸> Suppression.ALL", "facts have no order"),
    (WHEN, "suppression ‸is Suppression.ALL", "use one of"),
    (WHEN, "‸not suppression == Suppression.ALL", "write !"),
    (WHEN, "jurisdiction == ‸Jurisdiction.UK", "use one of: Jurisdiction.CA, Jurisdiction.CN"),
    (WHEN, "jurisdiction == ‸Jurisdiction.USA", "did you mean Jurisdiction.US?"),
    (WHEN, "jurisdiction == ‸Jurisdiction.de", "Jurisdiction."),
    (WHEN, "purpose == ‸Purpose.MARKETTING", "did you mean Purpose.MARKETING?"),
    (WHEN, "purpose == ‸Purpose.marketing", "did you mean Purpose.MARKETING?"),
    (WHEN, "purpose == ‸Purpose.RAFFLE", "Purpose."),
    # Regular expressions, bounded or not, and whatever else CEL has.
    (WHEN, "‸purpose.matches('(a+)+$')", "compare a fact with its declared values: texts are looked at by registers"),
    (WHEN, "‸matches(purpose, '(x*)*y')", "compare a fact with its declared values: texts are looked at by registers"),
    (WHEN, "‸suppression.matches('.*')", "compare a fact with its declared values: texts are looked at by registers"),
    (WHEN, "‸body.matches('(.*)*!')", "compare a fact with its declared values: texts are looked at by registers"),
    (WHEN, "‸purpose.contains('invite')", "compare the fact with its declared values"),
    (WHEN, "‸purpose.startsWith('inv')", "compare the fact with its declared values"),
    (WHEN, "‸purpose.endsWith('ite')", "compare the fact with its declared values"),
    (WHEN, "‸size(purpose) == size(purpose)", "use one of"),
    (WHEN, "‸true", "text"),
    (WHEN, "‸{a: b}", "write text here"),
    (WHEN, "‸''", "write it out"),
    (WHEN, "suppression == Suppression.ALL ‸; drop", "write &&, ||"),
    (WHEN, "suppression == Suppression.ALL ‸& true", "write &&, ||"),
    (WHEN, "suppression in [Suppression.ALL, ‸Consent.NONE]", "keep to values of one fact"),
    (WHEN, "suppression in [‸]", "name the values"),
    (WHEN, "suppression ‸== Consent.NONE", "values of its own type"),
    (WHEN, "‸suppression", "compare it with a value"),
    (WHEN, f"‸{'consent == Consent.NONE || ' * 90}consent == Consent.NONE", "split the rule"),
    # Days.
    ("until: 2028-01-01", "until: ‸2027-01-01", "write a day after from"),
    ("until: 2028-01-01", "until: ‸2026-12-31", "write a day after from"),
    ("until: 2028-01-01", "until: ‸2028-02-30", "2027-01-31"),
    ("until: 2028-01-01", "until: ‸never", "2027-01-31"),
    ("until: 2028-01-01", "until: ‸~", "2027-01-31"),
    ("from: 2027-01-01", "from: ‸2027-1-1", "2027-01-31"),
    ("from: 2027-01-01", "from: ‸1st January", "2027-01-31"),
    ("from: 2027-01-01", "‸form: 2027-01-01", "did you mean from?"),
    # Versions of one rule that are in force on the same days.
    ("    until: 2028-01-01\n", f"    until: 2028-01-01\n{STOPPED_TOO}    from: ‸2027-12-31\n", VERSIONS),
    ("    until: 2028-01-01\n", f"    until: 2028-01-01\n{STOPPED_TOO}    from: ‸2026-01-01\n    until: 2027-01-02\n", VERSIONS),
    ("    until: 2028-01-01\n", f"    until: 2028-01-01\n{STOPPED_TOO}    until: ‸2027-06-01\n", VERSIONS),
    ("    until: 2028-01-01\n", f"    until: 2028-01-01\n{STOPPED_TOO.replace('too', '‸too')}", VERSIONS),
    ("    until: 2028-01-01\n", f"{STOPPED_TOO}    from: ‸2030-01-01\n", VERSIONS),
    ("    until: 2028-01-01\n", f"    until: 2028-01-01\n{STOPPED_TOO.replace('too', '‸stopped')}    from: 2028-01-01\n", "choose another, each version its own"),
    ('"ePrivacy 13"]\n', f'"ePrivacy 13"]\n{AGREED_TOO}    from: ‸2027-06-01\n', VERSIONS),
    # The rest of a rule.
    ("id: stopped", "id: ‸Stopped", "lower-case words joined by hyphens"),
    ("id: stopped", "id: ‸has_stopped", "lower-case words joined by hyphens"),
    ("id: agreed", "id: ‸stopped", "choose another"),
    ("  - id: stopped\n    text", "  - ‸text", "id: ..."),
    ("then: drop", "then: ‸deny", "use one of: allow, drop, quarantine"),
    ("then: drop", "then: ‸Drop", "did you mean drop?"),
    ("then: drop", "then: ‸block", "drop"),
    ("then: drop", "then: ‸[drop]", "write text here"),
    ("then: drop\n    reason: SUPPRESSED", "then: quarantine\n    reason: ‸SUPPRESSED", "write `then: drop`"),
    ("reason: SUPPRESSED", "reason: ‸SUPRESSED", "did you mean SUPPRESSED?"),
    ("reason: SUPPRESSED", "reason: ‸suppressed", "did you mean SUPPRESSED?"),
    ("reason: SUPPRESSED", "reason: ‸NO_BASIS", "take the rule out"),
    ("reason: SUPPRESSED", "reason: SUPPRESSED\n    basis: ‸consent", "take it out, and give a reason"),
    ("basis: consent", "basis: consent\n    reason: ‸NO_CONSENT", "take it out, and give a basis"),
    ("basis: consent", "basis: ‸Consent", "lower-case words joined by hyphens"),
    ("cites: Case", "cites: ‸[]", "add an entry"),
    ("cites: Case", "cites: ‸12", "write text here"),
    ("cites: Case", "‸cite: Case", "did you mean cites?"),
    ("cites: Case", "cites: Case\n    ‸source: Case", "use one of"),
    ("text: The person said stop.", "text: ‸'  '", "write it out"),
    ("text: The person said stop.", "text: The person said‸: stop.", "mend the line"),
    (" && consent == Consent.GRANTED", "", "require a consent"),
    (f"when: {AGREED}", "when: ‸consent == Consent.GRANTED", "say for which purpose"),
    # What means harm.
    ("rules:\n", "a: ‸&a [x, x]\nb: [*a, *a, *a]\nrules:\n", "write it out in full"),
    ("rules:\n", "‸{a: b}: c\nrules:\n", "write text here"),
    ("rules:\n", "a: [[[[[[[‸[[[]]]]]]]]]]\nrules:\n", "write it flatter"),
    ("rules:\n", "a: ‸!!python/object/apply:os.system [ls]\nrules:\n", "take it out"),
    ("rules:\n", "rules: []\n‸---\nrules:\n", "take out the `---`"),
)  # fmt: skip

TX = "region: US-TX"
IN_REGISTERS = rows(
    ("links:", "‸link:", "did you mean links?"),
    ("own: [shop.example]", "own: [‸https://shop.example]", "without https://"),
    ("own: [shop.example]", "own: [‸shop]", "write shop.example"),
    ("own: [shop.example]", "own: [‸'*.shop.example']", "write shop.example"),
    ("own: [shop.example]", "own: [‸shop example.com]", "write shop.example"),
    ("own: [shop.example]", "own: [‸shop..example]", "write shop.example"),
    ("own: [shop.example]", "own: [‸'.*shop[.]example']", "write shop.example"),
    ("own: [shop.example]", "own: [‸12]", "write text here"),
    ("own: [shop.example]", "own: ‸[]", "add an entry"),
    ("own: [shop.example]", "own: ‸{a: b}", "write text here"),
    ("own: [shop.example]", "‸mine: [shop.example]", "use one of: own, registration, short, store"),
    ("own: [shop.example]", "‸foreign: [shop.example]", "use one of: own, registration, short, store"),
    ("short: [bit.ly]", "short: [‸shop.example]", "keep one of them"),
    ("short: [bit.ly]", "‸shorts: [bit.ly]", "did you mean short?"),
    ("short: [bit.ly]", "short: [bit.ly]\n  ‸short: [t.co]", "keep one of them"),
    ("  - id: shop", "  - ‸name: shop", "use one of: id, jurisdictions, shows"),
    ("  - id: shop\n    jurisdictions", "  - ‸jurisdictions", "id: ..."),
    ("id: shop", "id: ‸[shop]", "write text here"),
    ("id: shop", "id:‸", "write text here"),
    ("    shows: [Shop]", "    shows: [Shop]\n  - id: ‸shop", "keep one of them"),
    ("jurisdictions: [CN, US]", "jurisdictions: [CN, ‸USA]", "did you mean US?"),
    ("jurisdictions: [CN, US]", "jurisdictions: [CN, ‸FRANCE]", "use one of: CA, CN, EU, OTHER, US"),
    ("jurisdictions: [CN, US]", "jurisdictions: [‸cn, US]", "did you mean CN?"),
    ("jurisdictions: [CN, US]", "jurisdictions: ‸[]", "add an entry"),
    ("jurisdictions: [CN, US]", "‸jurisdiction: [CN, US]", "did you mean jurisdictions?"),
    ("shows: [Shop]", "shows: ‸[]", "add an entry"),
    ("shows: [Shop]", "shows: [‸'']", "write it out"),
    ("shows: [Shop]", f"shows: [‸{'s' * 101}]", "write what is telling"),
    ("shows: [Shop]", f"shows: [{'Shop, ' * 100}‸Shop]", "keep the telling ones"),
    ("shows: [Shop]", "shows: [‸true]", "write text here"),
    ("opt_out:\n  purposes: [marketing]\n  texts", "opt_out:\n  ‸texts", "purposes: ..."),
    ("  purposes: [marketing]\n  texts", "  purposes: [‸markting]\n  texts", "did you mean marketing?"),
    ("  purposes: [marketing]\n  texts", "  purposes: [marketing]\n  ‸text", "did you mean texts?"),
    ("CN: [stop R]", "CHN: ‸[stop R]", "did you mean CN?"),
    ("CN: [stop R]", "UK: ‸[stop R]", "use one of: CA, CN, EU, OTHER, US, any"),
    ("CN: [stop R]", "CN: ‸[]", "add an entry"),
    ("CN: [stop R]", "CN: [‸7]", "write text here"),
    ("CN: [stop R]", "CN: [stop R]\n    ‸CN: [stop T]", "keep one of them"),
    ("opt_out:", "‸optout:", "did you mean opt_out?"),
    ("  under: [otp]\n  inv", "  ‸inv", "under: ..."),
    ("under: [otp]", "under: [‸opt]", "did you mean otp?"),
    ("under: [otp]", "under: [‸orders]", "use one of: invite, marketing, otp"),
    ("invitation: [join me]", "‸invitations: [join me]", "did you mean invitation?"),
    ("invitation: [join me]", "invitation: [‸' ']", "write it out"),
    ("advertising: [sale]", f"advertising: [{'sale, ' * 100}‸sale]", "keep the telling ones"),
    ("advertising: [sale]", "advertising: ‸{sale: 1}", "write text here"),
    ("marks:", "‸mark:", "did you mean marks?"),
    ("marks:", "‸hors: []\nmarks:", "did you mean hours?"),
)  # fmt: skip

IN_HOURS = rows(
    ("    purposes: [marketing]\n    days", "    days", "purposes: ..."),
    ("    cites: Rule\n", "", "cites: ..."),
    (TX, "region: ‸us-tx", "write a country (US)"),
    (TX, "region: ‸Texas", "write a country (US)"),
    (TX, "region: ‸USA", "write a country (US)"),
    (TX, "region: ‸US_TX", "write a country (US)"),
    (TX, "region: ‸US-XT", "did you mean US-TX?"),
    (TX, "region: ‸US-TEX", "did you mean US-TX?"),
    (TX, "region: ‸US-99", "use one of: US-AK, US-AL"),
    (TX, "region: ‸US-", "use one of: US-AK, US-AL"),
    (TX, "region: ‸US-PR", "did you mean PR?"),
    (TX, "region: ‸CA-NO", "did you mean CA-ON?"),
    (TX, "region: ‸CA-TX", "use one of: CA-AB, CA-BC"),
    (TX, "region: ‸CN-99", "the parts of CA and US only"),
    (TX, "region: ‸DE-BY", "the parts of CA and US only"),
    (TX, "region: ‸EU-DE", "write a country (US)"),
    (TX, "region: ‸ZZ", "write a country (US)"),
    (TX, "region: ‸ZZ-TX", "write a country (US)"),
    (TX, "region: ‸UK", "did you mean GB?"),
    (TX, "region: ‸[US-TX]", "write text here"),
    (TX, "region: ‸no", "in quotes"),
    (TX, "‸regon: US-TX", "did you mean region?"),
    ("    purposes: [marketing]\n    days", "    purposes: [‸market]\n    days", "did you mean marketing?"),
    ("days: [mon, sat]", "days: [mon, ‸saturday]", "use one of: fri, mon, sat"),
    ("days: [mon, sat]", "days: [‸Mon, sat]", "did you mean mon?"),
    ("days: [mon, sat]", "days: [mon, ‸everyday]", "use one of: fri, mon, sat"),
    ("days: [mon, sat]", "days: [‸1, sat]", "write text here"),
    ("days: [mon, sat]", "days: ‸[]", "add an entry"),
    ("days: [mon, sat]", "days: ‸mon-fri", "mon"),
    ('from: "09:00"', 'from: ‸"9:00"', '"08:00"'),
    ('from: "09:00"', "from: ‸9", '"08:00"'),
    ('from: "09:00"', 'from: ‸"09.00"', '"08:00"'),
    ('from: "09:00"', 'from: ‸"9am"', '"08:00"'),
    ('from: "09:00"', 'from: ‸"09:60"', '"08:00"'),
    ('from: "09:00"', "from: ‸[]", '"08:00"'),
    ('to: "20:00"', 'to: ‸"24:01"', '"08:00"'),
    ('to: "20:00"', 'to: ‸"25:00"', '"08:00"'),
    ('to: "20:00"', 'to: ‸"08:00"', "write two windows"),
    ('to: "20:00"', 'to: ‸"09:00"', "write two windows"),
    ('to: "20:00"', 'to: "20:00"\n    ‸to: "21:00"', "keep one of them"),
    ("since: 2025-09-01", "since: ‸2025-09-31", "2027-01-31"),
    ("since: 2025-09-01", "since: ‸September", "2027-01-31"),
    ("until: 2029-01-01", "until: ‸2025-09-01", "write a day after since"),
    ("until: 2029-01-01", "until: ‸2024-01-01", "write a day after since"),
    ("until: 2029-01-01", "‸untl: 2029-01-01", "did you mean until?"),
    ("  - region: US-TX", '  - region: ‸any\n    purposes: [marketing]\n    from: "20:00"\n    to: "22:00"\n    cites: Rule\n  - region: US-TX', "end one before the other begins:"),
    ("    cites: Rule\n", '    cites: Rule\n  - region: ‸US-TX\n    purposes: [marketing]\n    from: "08:00"\n    to: "21:00"\n    since: 2028-12-31\n    cites: Rule\n', "end one before the other begins:"),
    ("    cites: Rule\n", '    cites: Rule\n  - region: ‸US-TX\n    purposes: [otp, marketing]\n    days: [sat, sun]\n    from: "19:59"\n    to: "21:00"\n    until: 2025-09-02\n    cites: Rule\n', "end one before the other begins:"),
)  # fmt: skip

IN_WHOLE = rows(
    ("  CN: own\n  US", "  ‸US", "CN: ..."),
    ("CN: own", "‸CHN: own", "did you mean CN?"),
    ("CN: own", "CN: own\n  ‸UK: own", "use one of: CA, CN, EU, OTHER, US"),
    ("CN: own", "CN: own\n  ‸CN: own", "keep one of them"),
    ("CN: own", "CN: ‸../own", "name a folder beside this one: cn"),
    ("CN: own", "CN: ‸Own", "name a folder beside this one: cn"),
    ("CN: own", "CN: ‸china", "add its folder"),
    ("CN: own", "CN: ‸[own]", "write text here"),
    ("CN: own", "CN:‸", "write text here"),
    ("packs:", "‸rules: [rules.yaml]\npacks:", "use one of"),
)  # fmt: skip

IN_PACK = rows(
    ("name: own", "‸name: own\nconfirm: {purposes: [marketing], within_days: 3}", "say it in the policy"),
    ("name: own\n", "‸", "name: ..."),
    ("  marketing: Advertising.", "  marketing: Advertising.\n  ‸marketing: B.", "keep one of them"),
    ("rules: [rules.yaml]", "rules: [‸rule.yaml]", "did you mean rules.yaml?"),
    ("most: 3", "most: ‸1000", "write a number from 1 to 100"),
)  # fmt: skip

IN_PACK_RULES = rows(
    ("Consent.GRANTED", "‸Consent.GIVEN", "Consent."),
    ("basis: consent", "bassis: consent", "did you mean basis?"),
    (" && consent == Consent.GRANTED", "", "require a consent"),
    ("purpose == Purpose.MARKETING", "purpose == ‸Purpose.INVITE", "Purpose.MARKETING"),
)  # fmt: skip

NAMES = '  - name_consent: {subject: "+12125550103", granted: true}'
IN_TESTS = rows(
    ("id: stop-is-stop\n", "‸", "id: ..."),
    ("id: the-other", "id: ‸stop-is-stop", "choose another"),
    ("id: the-other", "id: ‸[a]", "write text here"),
    ("id: the-other", "id: the-other\n‸colour: red", "use one of"),
    ("at: 2026-05-01T10:00:00Z\nrecipient: \"+12125550101\"\nhistory", "at: ‸noon\nrecipient: \"+12125550101\"\nhistory", "2026-01-31T10:00:00Z"),
    ("at: 2026-05-01T10:00:00Z\nrecipient: \"+12125550101\"\nhistory", "at: ‸2026-05-32\nrecipient: \"+12125550101\"\nhistory", "2026-01-31T10:00:00Z"),
    ("id: stop-is-stop\nat: 2026-05-01T10:00:00Z\n", "‸id: stop-is-stop\n", "at: 2026-01-31T10:00:00Z"),
    ("recipient: \"+12125550101\"\nhistory", "recipient: ‸\"12125550101\"\nhistory", "write + and 2 to 15 digits"),
    ("recipient: \"+12125550101\"\nhistory", "recipient: ‸\"+1 212 555 0101\"\nhistory", "write + and 2 to 15 digits"),
    ("recipient: \"+12125550101\"\nhistory", "recipient: ‸[\"+12125550101\"]\nhistory", "write text here"),
    ("history:", "‸histroy:", "did you mean history?"),
    ("  - consent_event:", "  - ‸consent_evnt:", "did you mean consent_event?"),
    (NAMES, "  - ‸{}", "write one of consent_event"),
    (NAMES, "  - ‸{name_consent: {granted: true}, campaign: {campaign_id: a}}", "write one of consent_event"),
    (NAMES, "  - ‸consented", "write it as `key: value` lines"),
    ("{kind: GRANTED", "{kind: ‸GIVEN", "GRANTED"),
    ("{kind: GRANTED", "{kind: ‸granted", "did you mean GRANTED?"),
    ("basis: EXPRESS", "basis: ‸EXPRES", "did you mean EXPRESS?"),
    ("source: OPERATOR", "source: ‸OPERATR", "did you mean OPERATOR?"),
    ("source: OPERATOR", "‸sorce: OPERATOR", "did you mean source?"),
    ("source: OPERATOR", "source: OPERATOR, occurred_at: ‸soon", "2026-01-31T10:00:00Z"),
    ("state: PAUSED", "state: ‸STOPPED", "PAUSED"),
    ("{campaign_id: spring, state", "‸{state", "campaign_id: ..."),
    ("mandatory: true", "mandatory: ‸maybe", "write true or false"),
    ("mandatory: true", "mandatory: ‸1", "write true or false"),
    ("uploaded_at: 2026-04-01", "uploaded_at: ‸April", "2026-01-31T10:00:00Z"),
    ("uploaded_at: 2026-04-01", "subject_id: ‸xyz", "0 to 9 and a to f"),
    ("granted: true", "granted: ‸[]", "write true or false"),
    ("{template_id: t, text", "‸{text", "template_id: ..."),
    ("type: CODE", "type: ‸DIGITS", "CODE"),
    ("{verdict: ALLOWED}", "{verdict: ‸SENT}", "ALLOWED"),
    ("{verdict: ALLOWED}", "{verdict: ALLOWED, decided_at: ‸x}", "2026-01-31T10:00:00Z"),
    ("  purpose: marketing\n  body", "  ‸body", "purpose: ..."),
    ("  body: Come and see.", "  ‸boddy: Come and see.", "did you mean body?"),
    ("  body: Come and see.", "  body: ‸[Come]", "write text here"),
    ("  body: Come and see.", "  body: Come‸: and see.", "mend the line"),
    ("  valid_until: 2026-05-02T10:00:00Z", "  valid_until: ‸later", "2026-01-31T10:00:00Z"),
    ("text_author: USER", "text_author: ‸SOMEBODY", "USER"),
    ("text_shown: true", "text_shown: ‸seen", "write true or false"),
    ("text_shown: true", "‸text_show: true", "did you mean text_shown?"),
    ("[{name: L.}]", "‸{name: L.}", "write it as a list"),
    ("[{name: L.}]", "[‸L.]", "write it as `key: value` lines"),
    ("{kind: friend, evidence: NONE}", "{kind: friend, evidence: ‸SOME}", "NONE"),
    ("  verdict: DROPPED\n", "  verdict: ‸DENIED\n", "DROPPED"),
    ("  verdict: DROPPED\n", "  verdict: ‸DROP\n", "did you mean DROPPED?"),
    ("  verdict: DROPPED\n  reasons", "  ‸reasons", "verdict: ..."),
    ("reasons: [SUPPRESSED]", "reasons: [‸SUPRESSED]", "did you mean SUPPRESSED?"),
    ("reasons: [SUPPRESSED]", "reasons: ‸{a: b}", "write text here"),
    ("releasable: false", "releasable: ‸never", "write true or false"),
    ("hold_until: 2026-05-02T08:00:00Z", "hold_until: ‸tomorrow", "2026-01-31T10:00:00Z"),
    ("{consent: WITHDRAWN,", "{consent: ‸WITHDRAWED,", "did you mean WITHDRAWN?"),
    ("{consent: WITHDRAWN,", "{‸consnt: WITHDRAWN,", "did you mean consent?"),
    ("{consent: WITHDRAWN,", "{consent: ‸[],", "write text here"),
    ("---\n", "---\nx: ‸&a [b, c]\n---\n", "write it out in full"),
    ("---\n", "---\n‸just a word\n---\n", "write it as `key: value` lines"),
)  # fmt: skip
