"""Plans of three charges, as a policy with three limits makes them for one account each."""

from proxy.model.plan import Charge, Plan
from proxy.model.verdict import Algorithm, Mode, OnUnavailable, Unit

S = 1_000_000_000
AT_NS = 1_800_000_000 * S
LIMITS = ((Unit.REQUESTS, 1, 60), (Unit.TOKENS, 700, 60), (Unit.TOKENS, 700, 86_400))


def plan_of(number: int, algorithm: Algorithm, at_ns: int = AT_NS) -> Plan:
    """The plan of an exchange of the account of that number."""
    subject = f"account.id=acc-{number:07d}"
    charges = [
        _charge(subject, unit, amount, window_s, algorithm, at_ns)
        for unit, amount, window_s in LIMITS
    ]
    return Plan(at_ns, tuple(charges), id=f"ex_{number:026d}")


def _charge(
    subject: str, unit: Unit, amount: int, window_s: int, algorithm: Algorithm, at_ns: int
) -> Charge:
    starts_ns = at_ns - at_ns % (window_s * S)
    fixed = algorithm is Algorithm.FIXED
    return Charge(
        "tier-free",
        f"tier-free|{unit.value}|{subject}|{algorithm.value}:{window_s}",
        unit,
        1 if algorithm is Algorithm.CONCURRENT else amount,
        10**8,
        0 if algorithm is Algorithm.CONCURRENT else window_s,
        Mode.ENFORCE,
        binding=True,
        slot=subject,
        algorithm=algorithm,
        starts_ns=starts_ns if fixed else 0,
        ends_ns=starts_ns + window_s * S if fixed else 0,
        rate=10**6,
        on_unavailable=OnUnavailable.ALLOW,
    )
