"""What goes wrong in a way that its user can mend: what, why, and the remedy; only `cli` prints them.

UserError                 base: message, fix, exit code
  BadInput                2  a flag, a file or a name is wrong; nothing was done
  Refused                 3  it does not fit, or a precondition is missing; nothing was done
  RunFailed               1  the run failed; the message says what state is in force
  RolledBack              4  applied, but a check failed; the previous release is back
  Interrupted             5  stopped half-way by the operator; safe to run again
"""


class UserError(Exception):
    code = 1

    def __init__(self, message: str, *, fix: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.details = details


class BadInput(UserError):
    code = 2


class Refused(UserError):
    code = 3


class RunFailed(UserError):
    code = 1


class RolledBack(UserError):
    code = 4


class Interrupted(UserError):
    code = 5
