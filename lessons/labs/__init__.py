"""Programs that the pages on the labs show."""
