"""PAW data sets: the symbols and titles of each set, and the library of POTCARs on this machine."""
