# Everything a fresh clone needs: python3 >= 3.11 and make. `make help` lists the targets.
