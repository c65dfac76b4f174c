"""The steward: finds the visits that are quiet and hands each over whole."""
