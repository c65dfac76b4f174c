"""The front door: where strangers speak first (PS3.8's upper layer, PS3.7's C-ECHO and C-STORE).

supervisor   one parent: binds, forks, restarts, drains, replaces who hangs
board        what each process says of itself, in memory shared by all
register     which titles are associated with the node, in memory shared by all
worker       one process: accepts, one thread an association, caps
threads      one for each association, kept a moment for the next
guests       how many are in, of each kind
pace         how fast connections that come to nothing may follow one another
budget       how many bytes of data sets are in memory
patience     what is dear to read waits in proportion
wire         one connection: exact counts, absolute deadlines, lengths checked before anything is read
tls          contexts, ciphers, and what a peer's certificate proves
credentials  what peers prove themselves with, as configured
watched      files that are read again when they change
negotiation  A-ASSOCIATE: accept or reject
items        what its PDUs are made of
identity     user identity: names and passwords
extended     SOP class extended negotiation
messages     P-DATA fragments put together to commands and data sets
commands     command sets, read and written
association  one association from its first byte to its last
storage      C-STORE: the one place where every error is caught
"""
