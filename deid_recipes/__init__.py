"""Recipes in the language of deid; see README.md. A package only so that they are installed with the node."""
