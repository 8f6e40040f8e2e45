"""The numbers behind each figure of a campaign, as plain arrays: no plotting here."""
