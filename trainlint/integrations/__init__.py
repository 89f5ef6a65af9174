"""trainlint inside other programs: flake8, pytest, and editors that speak the Language Server Protocol."""
