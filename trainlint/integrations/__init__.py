"""trainlint inside other programs: flake8, and editors that speak the Language Server Protocol."""
