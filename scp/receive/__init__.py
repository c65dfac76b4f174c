"""The front door: where strangers speak first (PS3.8's upper layer, PS3.7's C-ECHO and C-STORE).

supervisor   one parent: binds, forks, restarts, drains
board        what each process says of itself, in memory shared by all
worker       one process: accepts, one thread an association, caps
wire         one connection: exact counts, absolute deadlines, lengths checked before anything is read
negotiation  A-ASSOCIATE: accept or reject
messages     P-DATA fragments put together to commands and data sets
commands     command sets, read and written
association  one association from its first byte to its last
storage      C-STORE: the one place where every error is caught
"""
