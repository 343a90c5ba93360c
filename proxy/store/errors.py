"""What a shared store raises."""


class StoreUnavailable(Exception):  # noqa: N818  # a state of the store, not a mistake
    """The store, or a part of it, did not answer in time or not as it should.

    `sent` is True where the request may have reached it: what was asked may have been done.
    """

    def __init__(self, why: str, *, sent: bool = False) -> None:
        super().__init__(why)
        self.sent = sent
