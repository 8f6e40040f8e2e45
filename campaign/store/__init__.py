"""Every MongoDB query of the campaign: collections, states, documents."""
