"""pynetdicom as a requestor that loses no answer."""

import threading


class Checkpoint(threading.Event):
    """Where an association's reactor waits while its user sends, without the race of the one it replaces.

    There, the reactor may have passed the checkpoint and still count as paused when the user closes it; it then takes
    the answer off the queue ("unexpected C-STORE service message").
    """

    def __init__(self, association):
        super().__init__()
        self._association, self._passing = association, threading.Lock()
        self.set()

    def wait(self, timeout=None):
        while super().wait(timeout):
            with self._passing:
                if self.is_set():
                    self._association._is_paused = False
                    return True
        return False

    def clear(self):
        with self._passing:
            super().clear()
