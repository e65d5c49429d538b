"""How a gateway gets its certificate, renews it and loses it."""
