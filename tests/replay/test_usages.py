from proxy.model.usage import Usage
from proxy.replay.usages import MAX_MODELS, MEDIAN_OVER, Usages


def test_what_was_not_recorded_is_the_median_of_the_models_recent_answers():
    usages = Usages()
    assert usages.imputed("m") is None
    for tokens in [10_000] * 10 + [7] * MEDIAN_OVER:
        usages.note("m", Usage(output_tokens=tokens))
    assert usages.imputed("m") == Usage(output_tokens=7)
    assert usages.imputed("other") is None


def test_models_are_bounded_for_callers_choose_their_names():
    usages = Usages()
    for i in range(MAX_MODELS + 1):
        usages.note(f"m-{i}", Usage(output_tokens=i))
    assert usages.imputed("m-0") is None
    assert usages.imputed("m-1") == Usage(output_tokens=1)
    assert usages.imputed(f"m-{MAX_MODELS}") == Usage(output_tokens=MAX_MODELS)
