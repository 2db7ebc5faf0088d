"""The machine that the other tests of the service rely on."""

from __future__ import annotations

from tests.servers.nspawn import DRD, Machine


def test_a_machine_has_this_checkout_and_keeps_its_disk_over_a_reboot(system: Machine) -> None:
    system.write("/var/lib/kept/file", "kept")
    assert system.run(DRD, "--version").stdout.startswith("drd ")
    system.reboot()
    assert system.path("/var/lib/kept/file").read_text() == "kept"
