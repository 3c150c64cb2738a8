"""Why a plan is as it is, and the cheapest changes that would make a refused one fit."""
