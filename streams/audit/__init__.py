"""
What reads decisions back: the chain and its verification, and the explanation of one decision.

Everything here only reads, and read-committed: it sees what every other reader sees.
"""
