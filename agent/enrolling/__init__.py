"""How a gateway gets a certificate of its own, keeps it and loses it; no running agent imports any of this.

`claims`, `identity` and `service_calls` are the gateway's side, `authority`, `ledger`, `office` and `service` the
workshop's. The calls between them are those of step-ca (docs/enrol.md).
"""
