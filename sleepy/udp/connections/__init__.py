"""One peer's connection, free of I/O: everything about it composed, and the parts that it is made of."""
