"""What a test can say about the calls that the code under test made."""


def publish(s3, name, text):
    """The code under test: writes a report once, and must not read others' buckets."""
    s3.put_object(Bucket="out", Key=name, Body=text.encode())


def test_a_report_is_written_exactly_once(s3, recorded):
    s3.create_bucket(Bucket="out")
    publish(s3, "july.txt", "all well")
    recorded('count(s3:PutObject, bucket=="out") == 1')
    recorded("count(s3:DeleteObject) == 0")


def test_an_expectation_that_does_not_hold_fails_with_a_reason(recorded):
    run = recorded.command('count(s3:PutObject, bucket=="out") == 7')
    assert run.returncode == 1
    assert "7" in run.stdout + run.stderr and "1" in run.stdout + run.stderr


def test_an_expression_that_is_none_is_told_so(recorded):
    run = recorded.command("count(s3:PutObject")
    assert run.returncode != 0
    assert run.stderr
