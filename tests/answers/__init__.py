"""An answer key of our own in the ten actions of the MIDI-B challenge, over made-up subjects and pydicom's files.

It is not the challenge's data. `subjects` makes the instances, `key` says what has to become of them (by hand, from
what a recipe promises, never from the compiled plan), `score` counts the right answers.
"""
