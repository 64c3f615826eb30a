"""A short queue between two threads, which can end in good order or at once."""

import collections
import threading

_LOOK = 0.5  # seconds; on Windows, Ctrl-C does not wake a thread that waits for ever


class Cancelled(Exception):
    """Nobody takes from this channel any more."""


class Channel:
    """A queue of a few items from one thread to another.

    The giver calls `put` and at last `end`, the taker iterates. A taker that leaves
    calls `cancel`: the giver's next `put`, or the one that it waits in, raises
    `Cancelled`. So no thread waits for another that is gone.

    Args:
        size: how many items wait at most; then `put` does.
        newest: a full queue loses its oldest item instead, and `put` never waits.

    Attributes:
        dropped: how many items were lost so.
    """

    def __init__(self, size, newest=False):
        self.dropped = 0
        self._size, self._newest = size, newest
        self._items = collections.deque()
        self._changed = threading.Condition()
        self._ended = self._cancelled = False

    def put(self, item):
        """Gives an item; raises `Cancelled` if nobody will take it."""
        with self._changed:
            if self._newest and len(self._items) == self._size:
                self._items.popleft()
                self.dropped += 1
            while len(self._items) == self._size and not self._cancelled:
                self._changed.wait(_LOOK)
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def end(self):
        """Says that no more will come; what waits is still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self):
        """Says that no more will be taken; what waits is thrown away."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self):
        while True:
            with self._changed:
                while not (self._items or self._ended or self._cancelled):
                    self._changed.wait(_LOOK)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
