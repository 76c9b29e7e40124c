"""The errors that end a command, and its exit status."""


class InputError(Exception):
    """Input that the program cannot use.

    The message is one line: what is wrong, where, and what to do about it.

    Commands print the message on stderr and exit with status 2.
    """


class IncompleteError(Exception):
    """An input ended early. What it has was used, and the results were written.

    Commands print the message on stderr and exit with status 1.
    """


class MismatchError(Exception):
    """A background does not show the view of its picture. The message is one line.

    Commands print the message on stderr and exit with status 1.
    """


class TrainingError(Exception):
    """Training cannot continue. The message is one line.

    Commands print the message on stderr and exit with status 1.
    """
