"""Errors of hessview: what came, what is allowed, what to do."""


class HessviewError(Exception):
    """Base of every error that hessview raises on purpose."""


class InputError(HessviewError, ValueError):
    """An argument is outside what is allowed; nothing was sent or changed."""


class ObjectiveError(HessviewError):
    """The objective cannot be differentiated as it is (random, not finite, no gradient)."""


class JobError(HessviewError):
    """Something about the torchrun side: it is missing, busy, lost, or another version."""


class JobNotFoundError(JobError):
    """The run directory holds no living job."""


class JobStartingError(JobNotFoundError):
    """The job of a run directory is still starting, and cannot be asked yet."""


class JobBusyError(JobError):
    """Another kernel is attached to the job."""


class JobLostError(JobError):
    """The job, or the link to it, ended while it was in use."""


class RunDirectoryError(JobError):
    """The run directory is not safe or not usable: owner, mode, or contents."""


class RecordError(HessviewError):
    """The event log or a dataset does not hold what is asked of it."""


class NotMeasuredError(RecordError):
    """Nothing is measured yet of what is asked for."""


class RunFailedError(HessviewError):
    """A run ended with an error on the ranks; what was measured until then is kept."""


class RunCancelledError(HessviewError):
    """A run was cancelled; what was measured until then is kept."""


class NotRestoredError(HessviewError):
    """What was borrowed from a training could not be given back: it must not go on from here."""


class RecordWarning(UserWarning):
    """A part of the record could not be read and was left out."""


class AccuracyWarning(UserWarning):
    """A number was computed, but is known to be less accurate than usual."""
