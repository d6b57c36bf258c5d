"""consent-gate: nothing reaches the carrier that the recipient's consent does not carry."""

__version__ = "0.1.0"
