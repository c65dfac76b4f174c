"""All SQL of the node: the pseudonymous index and, in a database of its own, the encrypted linkage."""
