"""How fast it will be, and for how many people: estimates with their basis."""
