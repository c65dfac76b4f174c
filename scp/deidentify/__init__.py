"""The de-identification room: a recipe, compiled once to a plan, applied to the bytes of every instance."""
