"""
Keys, and what is done with them: subject ids, sealed content, signatures.

:mod:`secrets_folder` is where keys lie, :mod:`keyring` what is loaded of them, :mod:`subject_ids`
turns a number into its keyed hash, :mod:`data_keys` seals what belongs to one subject, and
:mod:`signatures` proves that one of our gates wrote something.
"""
