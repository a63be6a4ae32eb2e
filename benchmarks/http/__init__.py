"""What a request costs a client's CPU, and an answer a server's: sleepy beside its peers (see ``benchmarks/http.md``)."""
