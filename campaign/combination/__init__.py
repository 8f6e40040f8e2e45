"""One prediction from several: weights, and the correlation of the errors. Pure numbers."""
