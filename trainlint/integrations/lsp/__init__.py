"""The language server: a process that an editor starts and talks to over the standard input and output.

- `server` has one handler a message of the protocol, and decides when to check.
- `documents` is what is open in the editor: texts, some not saved, and notebooks cell by cell.
- `project` is the files around them, and checks those that run together with them.
- `translation` turns what was found into what the protocol has: ranges, diagnostics, edits, hovers.

Of pygls come the transport, the types and the bookkeeping of open documents.
"""
