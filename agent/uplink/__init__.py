"""One way up to the city: from the journal's outbox to a broker's acknowledgement."""
