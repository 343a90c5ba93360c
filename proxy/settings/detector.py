"""The detector's options as the settings have them, for gateway and replay alike."""

from proxy.detect.options import DetectorOptions
from proxy.settings.schema import Settings


def detector_options(settings: Settings) -> DetectorOptions:
    """What is set of the detector; the rest stays as it is measured."""
    linking = settings.detector.linking
    return DetectorOptions(
        step_s=linking.step_s,
        delay_s=linking.delay_s,
        horizon_s=linking.horizon_s,
        reference_age_s=linking.reference_age_s,
        lag_s=linking.lag_s,
        max_accounts=linking.max_accounts,
        max_pairs=linking.max_pairs,
    )
