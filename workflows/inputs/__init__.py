"""What a calculation is asked to compute with: INCAR tags, k-points, and what lies outside the campaign file."""
