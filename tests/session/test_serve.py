"""`hessview.serve` in a script of one process; with ranks, see test_training."""

import psutil
import pytest

import hessview
from helpers.folders import JOBS
from helpers.puppet import Puppet
from hessview.errors import InputError, JobError, JobNotFoundError, ObjectiveError
from hessview.transport.run_directory import RunDirectory
from jobs import small


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


def test_poll_answers_a_kernel_at_the_weights_of_the_step(path, puppet, until):
    kernel: Puppet = puppet("import hessview")
    objective = small.build()
    with hessview.serve(objective, run_dir=path) as job:
        job.poll(step=1)  # nobody has asked for anything: returns at once
        kernel.do(f"session = hessview.attach({str(path)!r})")
        job.poll(training_step=2)
        with pytest.raises(InputError, match=r"training_step=2 and step=3, which is its old name"):
            job.poll(2, step=3)
        run = kernel.do("run = session.density(steps=3, probes=1)") or kernel.do("run.id")
        assert kernel.do("run.state") == "queued"  # a job only computes when it is polled
        job.poll(step=3)
        until(lambda: kernel.do("run.state") == "done")
        assert kernel.do("run.dataset.attrs['training_step']") == 3
    until(lambda: kernel.do("session.lost is not None"))
    assert "the job's script left the block of hessview.serve" in kernel.do("session.state")
    assert job.closed
    job.close()  # twice is allowed
    with pytest.raises(JobError, match=r"this job is closed; call hessview\.serve"):
        job.poll(step=4)
    assert hessview.open_runs(path)[run].attrs["state"] == "done"


def test_process_that_served_a_kernel_can_be_one(path, puppet):
    serve = f"import small; job = hessview.serve(small.build(), {str(path)!r}); job.poll()"
    attach = f"hessview.attach({str(path)!r})"
    at_jobs = f"import sys, hessview; sys.path.append({str(JOBS)!r})"
    first, second = puppet(at_jobs, serve), puppet(at_jobs)
    second.do(f"session = {attach}; session.close()")
    first.do("job.close()")
    second.do(serve)
    first.do(f"session = {attach}")
    assert first.do("session.job.model") == "small"
    first.do("session.close()")
    second.do("job.close()")


def test_error_in_the_script_ends_the_job_and_is_told(path):
    def script():
        with hessview.serve(small.build(), run_dir=path) as job:
            job.poll()
            raise ZeroDivisionError("the learning rate was zero")

    with pytest.raises(ZeroDivisionError):
        script()
    text = r"has ended \(rank 0 failed: ZeroDivisionError: the learning rate was zero\)"
    with pytest.raises(JobNotFoundError, match=text):
        hessview.attach(path)


def test_objective_that_is_refused_gives_the_directory_back(path):
    with pytest.raises(
        ObjectiveError,
        match=r"call module\.eval\(\) first, or, in a training loop, hessview\.serve",
    ):
        hessview.serve(small.random(), run_dir=path)
    before = psutil.Process().num_fds()
    with pytest.raises(ObjectiveError):
        hessview.serve(small.random(), run_dir=path)
    assert psutil.Process().num_fds() == before
    with hessview.serve(small.build(), run_dir=path) as job:
        job.poll()


def test_second_job_in_a_directory_leaves_the_first_alone(path, puppet):
    with hessview.serve(small.build(), run_dir=path) as job:
        other = puppet("import hessview", f"import sys; sys.path.append({str(JOBS)!r})")
        with pytest.raises(JobError, match=r"is in use by a living job .*attach to it, end it"):
            other.do(f"hessview.serve(__import__('small').build(), {str(path)!r})")
        job.poll()
        assert RunDirectory.open(path).failures() == []
        assert RunDirectory.open(path).read_job().state == "waiting"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("net", small.loss, [1]), r"module is a str; pass a torch\.nn\.Module"),
        ((small.network(), small.loss, []), "batches is empty; pass at least one batch"),
        ((small.network(), small.loss, iter([1])), "pass a sequence, such as list"),
    ],
)
def test_objectives_that_make_no_sense(arguments, text):
    with pytest.raises(InputError, match=text):
        hessview.Objective(*arguments)


def test_blocks_that_name_no_parameter_are_refused(path):
    objective = hessview.Objective(
        small.network(), small.loss, small.batches(), {"first": ["0.weight", "0.wait"]}
    )
    with pytest.raises(InputError, match=r"block 'first' names \['0\.wait'\], which the module"):
        hessview.serve(objective, run_dir=path)


def test_serving_twice_in_one_directory_is_told(path):
    with hessview.serve(small.build(), run_dir=path) as job:
        text = r"this process already serves job \w+ in .*close it first \(job\.close\(\), or leave"
        with pytest.raises(JobError, match=text):
            hessview.serve(small.build(), run_dir=path)
        job.poll()
    hessview.serve(small.build(), run_dir=path).close()


def test_two_models_of_one_process_each_answer_their_kernel(tmp_path, puppet, until):
    paths = [tmp_path / name for name in ("generator", "critic")]
    kernels = [puppet("import hessview") for _ in paths]
    with (
        hessview.serve(small.build(), paths[0]) as generator,
        hessview.serve(small.build(), paths[1]) as critic,
    ):
        for kernel, path in zip(kernels, paths, strict=True):
            kernel.do(f"session = hessview.attach({str(path)!r})")
            kernel.do("run = session.density(steps=3, probes=1)")
        generator.poll(step=1)
        critic.poll(step=2)
        for kernel, step in zip(kernels, (1, 2), strict=True):
            until(lambda kernel=kernel: kernel.do("run.state") == "done")
            assert kernel.do("run.dataset.attrs['training_step']") == step
