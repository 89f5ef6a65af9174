"""What the lab adds to trainlint. `knowledge.toml` tells of its library, `checks` holds its rules, `rules/` their pages."""
