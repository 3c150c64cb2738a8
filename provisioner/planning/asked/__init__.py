"""What was asked for, in the words of people: models, machines, cards, settings, amounts."""
