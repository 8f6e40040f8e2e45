"""What to screen, and every decision about it: the campaign file, candidates, states, decisions and views."""
