"""All MongoDB queries of the campaign, with its collections, states and document types."""
