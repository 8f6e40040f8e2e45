"""The other models of the paper's Table 1, trained and tested on the same parts of a data set (`esnet benchmark`)."""
