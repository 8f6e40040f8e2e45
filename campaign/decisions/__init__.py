"""Every decision of a campaign: references, hull, policy, ledger. Pure where it can be."""
