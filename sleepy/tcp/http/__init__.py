"""HTTP/1.1 as values and bytes: messages, URLs, bodies, and the codec that writes and reads them."""
