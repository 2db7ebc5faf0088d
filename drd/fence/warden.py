"""The process that stays outside of a fence: it decides, executes calls, and ends the remaining
processes."""

from __future__ import annotations

import errno

from drd.fence import kernel
from drd.fence.files import Files
from drd.fence.network import Network
from drd.fence.processes import end_descendants
from drd.fence.record import Record
from drd.fence.shared_memory import Segments
from drd.fence.spec import Spec
from drd.fence.syscall_numbers import NUMBERS
from drd.fence.syscall_request import CallerGone, SyscallRequest, received
from drd.fence.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Call = Callable[[SyscallRequest], bool | None]


class Warden(Watch):
    """`child` is the command. Its orphans become our children."""

    def __init__(self, spec: Spec, child: int, listener: int | None, record: Record) -> None:
        super().__init__(child, spec.death_signal, spec.lifetime_s, listener)
        network = Network(record, spec.writes, spec.sockets, spec.reach)
        names: Mapping[str, Call] = {
            **network.calls(),
            **Files(spec.writes, spec.reads).calls(),
            **Segments(spec.memory_bytes).calls(),
        }
        numbers = NUMBERS.get(kernel.MACHINE, {})
        self._calls = {numbers[name]: call for name, call in names.items() if name in numbers}

    def watch(self) -> int:
        """Run until the command and all its descendants have ended; returns its status as of
        wait(2).
        """
        status = self.until_it_ends()
        end_descendants()
        return status

    def _decide(self) -> None:
        assert self._listener is not None
        asked = received(self._listener)
        if asked is None:
            return
        try:
            call = self._calls.get(asked.number)
            if call is None:
                asked.answer(error=errno.ENOSYS)
            elif not call(asked):
                asked.answer()
        except CallerGone:
            pass
        except OSError as error:
            self._refuse(asked, error.errno or errno.EPERM)
        except Exception:  # noqa: BLE001 - whatever a fenced process made of us, it waits for a no
            self._refuse(asked, errno.EPERM)

    @staticmethod
    def _refuse(asked: SyscallRequest, number: int) -> None:
        try:
            asked.answer(error=number)
        except CallerGone:
            pass
