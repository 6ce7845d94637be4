"""An emulator of Lago's REST API for development and tests: a process and a database of its own, no money moves.

Written from the facts of Lago's behaviour, so that the client that works here works against a real Lago. It imports
nothing of the portal and the portal imports nothing of it; they speak HTTP.
"""
