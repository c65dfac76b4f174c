"""What is written to disk: durable files in a visit's staging folder, the sealed quarantine, and the node's keys."""
