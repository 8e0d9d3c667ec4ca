"""Errors of our own; each also derives from the built-in one that a caller would catch."""


class ArtDiscError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(ArtDiscError, ValueError):
    """An argument or array does not fit; the message says what was expected and the cure."""


class NotFittedError(ArtDiscError, ValueError, AttributeError):
    """A codebook or defence is used before `fit` (scikit-learn's own derives likewise)."""


class SealedError(ArtDiscError, AttributeError):
    """Something is changed on which something else is built; the message names the cure."""


class DataNotFoundError(ArtDiscError, FileNotFoundError):
    """A data set is in none of the places that were looked in."""


class FileFormatError(ArtDiscError, ValueError):
    """A file is damaged, foreign, or of a version that this release cannot read."""


class FileChangedError(FileFormatError):
    """A file is not as this package wrote it."""


class FileVersionError(FileFormatError):
    """A file is of a version that this release cannot read."""


class MissingExtraError(ArtDiscError, ImportError):
    """An optional dependency is absent; the message names the extra that brings it."""


class CertificateError(ArtDiscError, ValueError):
    """A certificate does not apply to this classifier, codebook or input."""


class TheoryError(ArtDiscError, ValueError):
    """A theorem promises nothing here: one of its conditions does not hold."""


class FolderBusyError(ArtDiscError, RuntimeError):
    """Another process works in the same folder."""


class WorkerLostError(ArtDiscError, RuntimeError):
    """A worker process died under its work."""


class AttackFailedError(ArtDiscError, RuntimeError):
    """An attack of a table ended with an error, so that what is left would be of fewer attacks."""


class CodebookWarning(UserWarning):
    """A codebook came out smaller than asked for."""


class InputWarning(UserWarning):
    """Something given is read, or left out, in a way that its user may not mean."""
