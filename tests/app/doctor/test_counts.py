from app.doctor.counts import Counts, counts

METRICS = """\
# TYPE apiserver_admission_webhook_fail_open_count counter
apiserver_admission_webhook_fail_open_count{name="inject.webhook.irsa",type="admit"} 3
apiserver_admission_webhook_fail_open_count{name="other.example",type="admit"} 100
apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="require.webhook.irsa",\
operation="CREATE",rejection_code="503",type="admit"} 2
apiserver_admission_webhook_rejection_count{error_type="no_error",name="require.webhook.irsa",operation="CREATE",\
rejection_code="403",type="admit"} 7
apiserver_admission_webhook_request_total{code="200",name="inject.webhook.irsa",operation="CREATE",rejected="false",\
type="admit"} 1.2e+01
apiserver_admission_webhook_request_total{code="503",name="inject.webhook.irsa",operation="CREATE",rejected="false",\
type="admit"} 9
apiserver_admission_match_condition_exclusions_total{kind="webhook",name="inject.webhook.irsa",operation="CREATE",\
type="admit"} 4
apiserver_admission_match_condition_evaluation_errors_total{kind="webhook",name="inject.webhook.irsa",\
operation="CREATE",type="admit"} 5
apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"} 42
"""
HOOKS = {"inject.webhook.irsa", "require.webhook.irsa"}


def test_counters_of_our_hooks_are_read() -> None:
    assert counts(METRICS, HOOKS) == Counts(answered=12, failed_open=3, failed_closed=2, excluded=4, condition_errors=5)


def test_nothing_counted_is_nothing() -> None:
    assert counts("", HOOKS) == Counts()
    assert counts("<html>", HOOKS) == Counts()


def test_what_has_risen_is_told() -> None:
    assert counts(METRICS, HOOKS).since(Counts(answered=12, failed_open=1)) == Counts(
        failed_open=2, failed_closed=2, excluded=4, condition_errors=5
    )
