"""sleepy inside what people use already; each module needs the package whose name it has, as an extra of the same name."""
