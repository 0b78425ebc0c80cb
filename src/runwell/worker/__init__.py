"""One attempt after the other: open, drive, record, close. And the upkeep around them."""
