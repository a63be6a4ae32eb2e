"""Programs that the guides show."""
