"""The back door: where this node asks and other nodes answer."""
