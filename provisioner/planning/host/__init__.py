"""What the host itself has to be given first."""
