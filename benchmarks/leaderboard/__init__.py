"""`make leaderboard`: every model of the paper's Table 1, and potentials, on the open set; see `__main__`."""
