"""What happens to a campaign's documents: submission, calculations, screening, reconciliation."""
