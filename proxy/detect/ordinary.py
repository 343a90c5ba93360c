"""What an ordinary account uses in a day."""

import numpy as np

from proxy.detect.accounts import Accounts
from proxy.detect.arrays import Bools
from proxy.detect.options import DAY_S

PERCENTILE = 99
LEAST_ACCOUNTS = 100


def ordinary_day(accounts: Accounts, clustered: Bools, now_s: int, aged_s: int) -> dict[str, int]:
    """The 99th percentile of served requests in a day, over accounts in no cluster that sent any.

    Accounts younger than `aged_s` have no say, so that heavy throwaway ones do not raise it; where
    too few are known to be older, all have. The larger of the day before and today so far; empty
    while fewer than a hundred were seen.
    """
    day = (now_s - 1) // DAY_S
    free = ~clustered
    aged = free & (now_s - accounts["created"] >= aged_s)  # NaN is not aged
    if aged.sum() >= LEAST_ACCOUNTS:
        free = aged
    current = accounts["day"]
    today = accounts["today"][free & (current == day)]
    last = np.concatenate(
        (
            accounts["yesterday"][free & (current == day)],
            accounts["today"][free & (current == day - 1)],
        )
    )
    days = [uses[uses > 0] for uses in (today, last)]
    known = [
        int(np.percentile(uses, PERCENTILE, method="lower"))
        for uses in days
        if len(uses) >= LEAST_ACCOUNTS
    ]
    return {"requests": max(known)} if known else {}
