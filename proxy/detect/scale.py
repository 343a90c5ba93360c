"""What counts as how much evidence, in nats: words that search and look-up share."""

SHOWN = 1.0  # from which on a unit shows something in a strand
OWN = 3.0  # from which on a token is a cluster's own
STEPS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)  # at which tables step
