"""The errors that end a command, and its exit status."""


class InputError(Exception):
    """Input that the program cannot use.

    The message is one line: what is wrong, where, and what to do about it.

    Commands print the message on stderr and exit with status 2.
    """


class IncompleteError(Exception):
    """A part of the input could not be used, and the results of the rest were written.

    A video ended early, pictures of a directory cannot be used, or they show another view than the
    background. The message is one line.

    Commands print the message on stderr and exit with status 1.
    """


class MismatchError(Exception):
    """A background does not show the view of its picture; nothing was written.

    The message is one line.

    Commands print the message on stderr and exit with status 1.
    """


class TrainingError(Exception):
    """Training cannot continue. The message is one line.

    Commands print the message on stderr and exit with status 1.
    """
