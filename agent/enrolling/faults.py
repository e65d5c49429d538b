"""What keeps the workshop from doing something."""


class WorkshopError(Exception):
    """The root of it all; the message says what, where, and how to mend it."""
