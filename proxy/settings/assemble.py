"""Checked settings to a pipeline: policy, places, detector and keys put together."""

from proxy.detect.sharing import TemplateSharing
from proxy.facts.directory import Directory
from proxy.facts.places import Anonymizers, Places
from proxy.facts.pseudonyms import Pseudonyms
from proxy.model.verdict import Durability
from proxy.pipeline.pipeline import Pipeline
from proxy.policy.load import load as load_policy
from proxy.policy.rules import PolicySet
from proxy.settings.schema import Settings
from proxy.settings.secrets import Keys


def assemble(
    settings: Settings, keys: Keys, directory: Directory, policy: PolicySet | None = None
) -> Pipeline:
    """A pipeline over the settings' policies (or the given ones) and databases.

    Raises ProblemsError for policies, PlacesError for databases and lists that cannot be read.
    """
    policy = load_policy(settings.policies) if policy is None else policy
    anonymizers = settings.geo.anonymizers
    return Pipeline(
        policy=policy,
        directory=directory,
        places=Places.open(settings.geo.databases),
        anonymizers=Anonymizers.load(anonymizers) if anonymizers else Anonymizers.empty(),
        detector=TemplateSharing(
            policy.template_windows_s, settings.detector.step_s, settings.detector.delay_s
        ),
        pseudonyms=Pseudonyms(keys.pseudonym),
        fingerprint_key=keys.fingerprint,
        durability=Durability[settings.audit.durability.upper()],
        open_paths=settings.open_paths,
        max_json_depth=settings.server.max_json_depth,
    )
