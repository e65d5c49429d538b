"""`roadside doctor`: looks at a gateway, or at its card in a laptop, and says what is wrong and which command mends it.

One file a subject. A check is a function that is handed a `Site` and yields verdicts; it changes nothing.
"""
