"""The seed systems as recipes: `seeds/` has one file of commands each, `smoke/` the small data of a trial run."""
